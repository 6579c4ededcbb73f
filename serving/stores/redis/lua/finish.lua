#!lua
-- Keep what was seen of a rollout last in place of its checkpoint, unless a newer leader has written to its log.
-- KEYS: checkpoints logs seen    ARGV: rollout token document
-- 1, or 0 for a token that is no longer the newest

local checkpoints, logs, seen = KEYS[1], KEYS[2], KEYS[3]
local rollout, token, document = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local newest = tonumber(redis.call('HGET', logs, rollout) or '0')

if token < newest then
  return 0
end
refuse_forbidden({{'HSET', seen, rollout, document}, {'HDEL', checkpoints, rollout}})
redis.call('HSET', seen, rollout, document)
redis.call('HDEL', checkpoints, rollout)
return 1

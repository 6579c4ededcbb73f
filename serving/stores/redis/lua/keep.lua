#!lua
-- Keep a checkpoint of a rollout's decision log, unless a newer leader has written to the log.
-- KEYS: checkpoints logs    ARGV: rollout token checkpoint
-- 1, or 0 for a token that is no longer the newest

local checkpoints, logs = KEYS[1], KEYS[2]
local rollout, token, checkpoint = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local newest = tonumber(redis.call('HGET', logs, rollout) or '0')

if token < newest then
  return 0
end
redis.call('HSET', checkpoints, rollout, checkpoint)
return 1

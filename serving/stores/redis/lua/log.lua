#!lua
-- Add a line to a rollout's decision log, unless a newer leader has written to it.
-- KEYS: log logs    ARGV: rollout token line
-- 1, or 0 for a token that is no longer the newest

local log, logs = KEYS[1], KEYS[2]
local rollout, token, line = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local newest = tonumber(redis.call('HGET', logs, rollout) or '0')

if token < newest then
  return 0
end
refuse_forbidden({{'HSET', logs, rollout, token}, {'RPUSH', log, line}})
redis.call('HSET', logs, rollout, token)
redis.call('RPUSH', log, line)
return 1

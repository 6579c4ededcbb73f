#!lua
-- Let go of the lease, if it is this holder's. The token stays, so that the next one is larger.
-- KEYS: leader    ARGV: holder

if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'holder', '', 'until', 0)
end
return 0

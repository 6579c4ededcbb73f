#!lua
-- Take or renew the lease. The token outlives the lease, so that it grows with every new holder.
-- KEYS: leader    ARGV: holder milliseconds
-- the token, or nothing while another leads

local leader = KEYS[1]
local holder, milliseconds = ARGV[1], tonumber(ARGV[2])
local held = redis.call('HMGET', leader, 'holder', 'token', 'until', 'milliseconds')
local token, time = tonumber(held[2] or '0'), now()
local left = tonumber(held[3] or '0') - time

if held[1] ~= holder then
  -- A lease that ends later than it can have begun was given before the server's clock was set back.
  if left > 0 and left <= tonumber(held[4]) then
    return nil
  end
  token = token + 1
end
redis.call('HSET', leader, 'holder', holder, 'token', token, 'until', time + milliseconds, 'milliseconds', milliseconds)
return token

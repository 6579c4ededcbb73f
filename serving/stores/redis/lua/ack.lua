#!lua
-- Note which epoch a gateway serves and that it was heard of now; sweep out those that are long gone.
-- KEYS: gateways    ARGV: gateway document forgotten_milliseconds
-- A value is the time it was heard of and the document.

local gateways = KEYS[1]
local time = now()
redis.call('HSET', gateways, ARGV[1], string.format('%d %s', time, ARGV[2]))
local known = redis.call('HGETALL', gateways)
for index = 1, #known, 2 do
  if time - tonumber(string.match(known[index + 1], '^%d+')) > tonumber(ARGV[3]) then
    redis.call('HDEL', gateways, known[index])
  end
end
return time

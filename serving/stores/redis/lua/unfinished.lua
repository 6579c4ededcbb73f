#!lua
-- The rollouts that a checkpoint is kept of.
-- KEYS: logs checkpoints

local logs, checkpoints = KEYS[1], KEYS[2]
local known, found = redis.call('HGETALL', logs), {}

for index = 1, #known, 2 do
  if redis.call('HEXISTS', checkpoints, known[index]) == 1 then
    found[#found + 1] = known[index]
  end
end
return found

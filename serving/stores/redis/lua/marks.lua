-- What the scripts share; put in front of each. The head says how far the store has come; a store without one is empty.

local SCHEMA = 1
local GENESIS = string.rep('0', 64)

local function held_mark(key)
  local held = redis.call('HMGET', key, 'schema', 'fence', 'epoch', 'head')
  if not held[1] then
    return {fence = 1, epoch = 0, head = GENESIS}
  end
  if tonumber(held[1]) ~= SCHEMA then
    error({err = 'NEWSCHEMA ' .. held[1]})
  end
  local mark = {fence = tonumber(held[2] or ''), epoch = tonumber(held[3] or ''), head = held[4] or ''}
  if not mark.fence or not mark.epoch or #mark.head ~= #GENESIS then
    error({err = 'TORN'})
  end
  return mark
end

local function is_same(one, other)
  return one.fence == other.fence and one.epoch == other.epoch and one.head == other.head
end

-- Whether the store went through what was seen: the same epoch with another hash is another history.
local function continues(audit, held, seen)
  if seen.epoch < 0 then
    return true
  end
  if held.fence ~= seen.fence or held.epoch < seen.epoch then
    return false
  end
  if seen.epoch == held.epoch then
    return seen.head == held.head
  end
  if seen.epoch == 0 then
    return seen.head == GENESIS
  end
  local id = string.format('%d-0', seen.epoch)
  local entry = redis.call('XRANGE', audit, id, id)[1]
  return entry ~= nil and entry[2][2] == seen.head
end

-- A head that is not the newest entry's hash was put together from parts of two stores, or an entry was cut off.
local function refuse_torn(audit, held)
  local newest = redis.call('XREVRANGE', audit, '+', '-', 'COUNT', 1)[1]
  if held.head ~= (newest and newest[2][2] or GENESIS) then
    error({err = 'TORN'})
  end
end

local function answer(word, held)
  return {word, held.fence, held.epoch, held.head}
end

-- What an operation id was answered when it was committed.
local function first_outcome(text)
  local epoch, revision = string.match(text, '^(%d+) (%d+)$')
  if not epoch then
    error({err = 'TORN'})
  end
  return {'replayed', tonumber(epoch), tonumber(revision)}
end

-- Redis takes back nothing of a script that fails halfway, so what may not be written is found out before the first write.
local function refuse_forbidden(writes)
  for _, write in ipairs(writes) do
    if not redis.acl_check_cmd(unpack(write)) then
      error({err = 'NOPERM this user has no permission for ' .. write[1] .. ' on the key ' .. write[2]})
    end
  end
end

-- Milliseconds by this server's clock, the only one that leases go by.
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

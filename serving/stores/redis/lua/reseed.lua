#!lua
-- An operator's word on what the store goes on from, whatever it held. The families that are not to be are among them, empty.
-- KEYS: head audit families revisions operations reseeds
-- ARGV: operation, base fence epoch head, fence epoch, hash entry record at, then family and document of each
-- replayed EPOCH REVISION | moved MARK | done EPOCH REVISION

local head, audit, families, revisions, operations, reseeds = unpack(KEYS)
local operation = ARGV[1]
local base = {fence = tonumber(ARGV[2]), epoch = tonumber(ARGV[3]), head = ARGV[4]}
local fence, epoch = tonumber(ARGV[5]), tonumber(ARGV[6])
local hash, entry, record, at = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local FIRST_FAMILY = 11

local first = redis.call('HGET', operations, operation)
if first then
  return first_outcome(first)
end
local held = held_mark(head)
if not is_same(held, base) then
  return answer('moved', held)
end

local id = string.format('%d-0', epoch)
refuse_forbidden({
  {'XADD', audit, id, 'hash', hash},
  {'HSET', families, 'family', 'document'},
  {'HSET', revisions, 'family', epoch},
  {'HSET', operations, operation, epoch},
  {'RPUSH', reseeds, at},
  {'HSET', head, 'epoch', epoch},
})
redis.call('HEXISTS', families, '')
redis.call('HEXISTS', revisions, '')
redis.call('LLEN', reseeds)

redis.call('XADD', audit, id, 'hash', hash, 'entry', entry, 'record', record)
for index = FIRST_FAMILY, #ARGV, 2 do
  redis.call('HSET', families, ARGV[index], ARGV[index + 1])
  redis.call('HSET', revisions, ARGV[index], epoch)
end
redis.call('HSET', operations, operation, string.format('%d %d', epoch, epoch))
redis.call('RPUSH', reseeds, string.format('%d %s', epoch, at))
redis.call('HSET', head, 'schema', SCHEMA, 'fence', fence, 'epoch', epoch, 'head', hash)
return {'done', epoch, epoch}

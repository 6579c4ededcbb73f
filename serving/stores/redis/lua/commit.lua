#!lua
-- One transition, whole or not at all.
-- KEYS: head audit families revisions operations entries_of_family leader
-- ARGV: operation family token, seen fence epoch head, base fence epoch head, expected revision, hash entry record at
-- replayed EPOCH REVISION | went_back MARK | not_leader | stale REVISION | moved MARK | done EPOCH REVISION

local head, audit, families, revisions, operations, entries_of_family, leader = unpack(KEYS)
local operation, family, token = ARGV[1], ARGV[2], ARGV[3]
local seen = {fence = tonumber(ARGV[4]), epoch = tonumber(ARGV[5]), head = ARGV[6]}
local base = {fence = tonumber(ARGV[7]), epoch = tonumber(ARGV[8]), head = ARGV[9]}
local expected, revision = tonumber(ARGV[10]), tonumber(ARGV[11])
local hash, entry, record, at = ARGV[12], ARGV[13], ARGV[14], ARGV[15]

local first = redis.call('HGET', operations, operation)
if first then
  return first_outcome(first)
end

local held = held_mark(head)
if not continues(audit, held, seen) then
  return answer('went_back', held)
end
if token ~= '' and redis.call('HGET', leader, 'token') ~= token then
  return {'not_leader'}
end
local actual = tonumber(redis.call('HGET', revisions, family) or '0')
if actual ~= expected then
  return {'stale', actual}
end
-- The caller chained the entry to a head that is no longer the newest, or has none to write: it may try again on this one.
if hash == '' or not is_same(held, base) then
  return answer('moved', held)
end
refuse_torn(audit, held)

local epoch = held.epoch + 1
local id = string.format('%d-0', epoch)
refuse_forbidden({
  {'XADD', audit, id, 'hash', hash},
  {'HSET', families, family, record},
  {'HSET', revisions, family, revision},
  {'HSET', operations, operation, epoch},
  {'RPUSH', entries_of_family, at},
  {'HSET', head, 'epoch', epoch},
})
-- Keys that hold something else than ours fail here, not halfway.
redis.call('HEXISTS', families, family)
redis.call('LLEN', entries_of_family)

redis.call('XADD', audit, id, 'hash', hash, 'entry', entry, 'record', record)
redis.call('HSET', families, family, record)
redis.call('HSET', revisions, family, revision)
redis.call('HSET', operations, operation, string.format('%d %d', epoch, revision))
redis.call('RPUSH', entries_of_family, string.format('%d %s', epoch, at))
redis.call('HSET', head, 'schema', SCHEMA, 'fence', held.fence, 'epoch', epoch, 'head', hash)
return {'done', epoch, revision}

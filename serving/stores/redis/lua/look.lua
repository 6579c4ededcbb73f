#!lua flags=no-writes
-- What is new since a mark, read in one piece.
-- KEYS: head audit families revisions beats    ARGV: the seen fence epoch head
-- same BEATS | went_back MARK | newer MARK FAMILIES REVISIONS BEATS

local head, audit, families, revisions, beats = unpack(KEYS)
local seen = {fence = tonumber(ARGV[1]), epoch = tonumber(ARGV[2]), head = ARGV[3]}
local held = held_mark(head)

if is_same(held, seen) then
  return {'same', redis.call('HGETALL', beats)}
end
-- A higher fence is an operator's word that this store is the one to go by, whatever was seen before.
if held.fence <= seen.fence and not continues(audit, held, seen) then
  return answer('went_back', held)
end
refuse_torn(audit, held)
local newer = answer('newer', held)
newer[5] = redis.call('HGETALL', families)
newer[6] = redis.call('HGETALL', revisions)
newer[7] = redis.call('HGETALL', beats)
return newer

#!lua flags=no-writes
-- What time it is by this server, and who was given the lease until when.
-- KEYS: leader

return {now(), redis.call('HMGET', KEYS[1], 'holder', 'token', 'until', 'milliseconds')}

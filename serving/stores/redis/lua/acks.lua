#!lua flags=no-writes
-- What time it is by this server, and who was heard of when.
-- KEYS: gateways

return {now(), redis.call('HGETALL', KEYS[1])}

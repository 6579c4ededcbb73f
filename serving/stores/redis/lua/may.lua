#!lua flags=no-writes
-- Which of the commands (a JSON list of lists of words) this user may not run.

local refused = {}
for _, command in ipairs(cjson.decode(ARGV[1])) do
  if not redis.acl_check_cmd(unpack(command)) then
    refused[#refused + 1] = command[1]
  end
end
return refused

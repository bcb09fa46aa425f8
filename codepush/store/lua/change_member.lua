-- Give a member another role or take them out, but never the last owner.
-- KEYS: members, log.
-- ARGV: user id, role ('' takes them out), name of the owners' role, event, then user ids and the
--       roles that they must still have.
-- Returns 1, or 0 for somebody who is no member, -1 where no owner would be left, -2 where one of
-- those roles is another by now.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held then return 0 end
for i = 5, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then return -2 end
end
if held == ARGV[3] and ARGV[2] ~= ARGV[3] then
  local owners = 0
  for _, role in ipairs(redis.call('HVALS', KEYS[1])) do
    if role == ARGV[3] then owners = owners + 1 end
  end
  if owners < 2 then return -1 end
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[4])
return 1

-- Rename a deployment, and log it.
-- KEYS: deployments, deployment, log, app.  ARGV: id, old name, new name, event, organization.
-- Returns 1, or 0 where it is gone, its app has moved, or it has another name by now, -1 where the new name is taken.
if redis.call('HGET', KEYS[4], 'organization_id') ~= ARGV[5] then return 0 end
if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[1] then
  return redis.call('HGET', KEYS[1], ARGV[3]) == ARGV[1] and 1 or 0
end
if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 1 then
  return ARGV[2] == ARGV[3] and 1 or -1
end
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[1], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], 'name', ARGV[3])
redis.call('XADD', KEYS[3], '*', 'e', ARGV[4])
return 1

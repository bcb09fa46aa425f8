-- Remove a deployment and all below it, and log it.
-- KEYS: log, deployments, app, then every key of the deployment, its record first.
-- ARGV: id, name, event, organization.
-- Returns 1, or 0 where it is gone or its app has moved.
if redis.call('HGET', KEYS[3], 'organization_id') ~= ARGV[4] then return 0 end
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
for k = 4, #KEYS do redis.call('UNLINK', KEYS[k]) end
redis.call('XADD', KEYS[1], '*', 'e', ARGV[3])
redis.call('PUBLISH', KEYS[4], 0)
return 1

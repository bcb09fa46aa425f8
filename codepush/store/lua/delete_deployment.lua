-- Remove a deployment and all below it, and log it.
-- KEYS: log, deployments, then every key of the deployment, its record first.  ARGV: id, name, event.
-- Returns 1, or 0 where it is gone.
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
for k = 3, #KEYS do redis.call('UNLINK', KEYS[k]) end
redis.call('XADD', KEYS[1], '*', 'e', ARGV[3])
redis.call('PUBLISH', KEYS[3], 0)
return 1

-- Remove a deployment and all below it.
-- KEYS: deployments, then every key of the deployment.  ARGV: id, name.
-- Returns 1, or 0 where it is gone.
if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[2])
for k = 2, #KEYS do redis.call('UNLINK', KEYS[k]) end
return 1

-- Give a name back, if the claim on it is still the one that was read.
-- KEYS: hash of claims.  ARGV: field, claim.
-- Returns 1 if it was.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0

-- Give a name back, if it is still this owner's.
-- KEYS: hash of claims.  ARGV: field, owner.
-- Returns 1 if it was.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and string.match(held, '^(.*)|%d+$') == ARGV[2] then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0

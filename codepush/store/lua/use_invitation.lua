-- Let a user join by an invitation, which is used up by it.
-- KEYS: invitations, members, log.  ARGV: invitation id, user id, role, event.
-- Returns 1, or 0 where the invitation is gone, or -1 where the user is a member already.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return -1 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('XADD', KEYS[3], '*', 'e', ARGV[4])
return 1

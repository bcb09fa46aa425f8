-- Take an invitation back, and log it.  KEYS: invitations, log.  ARGV: invitation id, event.
-- Returns 1, or 0 where it is gone.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
return 1

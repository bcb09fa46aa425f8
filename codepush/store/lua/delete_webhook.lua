-- Remove a webhook with its queue and the list of its deliveries, and log it.
-- KEYS: webhooks, webhook, its queue, its log, organization's queue of webhooks, organization's log,
--       head.
-- ARGV: id, event.
-- Returns 1, or 0 where it is gone.
redis.call('SREM', KEYS[1], ARGV[1])
-- Without webhooks nobody hands anything on, and the audit log need not wait for it.
if redis.call('SCARD', KEYS[1]) == 0 then redis.call('DEL', KEYS[7]) end
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('UNLINK', KEYS[3], KEYS[4])
if redis.call('DEL', KEYS[2]) == 0 then return 0 end
redis.call('XADD', KEYS[6], '*', 'e', ARGV[2])
return 1

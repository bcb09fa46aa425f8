-- Note an attempt, say when the next one is, and disable a webhook that is given up.
-- KEYS: webhook, its queue, delivery, organization's queue of webhooks, organization's log.
-- ARGV: webhook id, member of the queue, attempts before this one, the attempt, what is kept of the
--       newest attempt only, status, attempts since it was queued, time of the next or '', now in ms,
--       '1' for a success, '1' to disable at once, ms of failing after which to disable, reason,
--       event, attempts to keep, ms that it took,
--       ms without an attempt after which failing begins anew, until when to leave it alone or 0,
--       how often it was put into the queue again before this attempt, URL that was called, encrypted.
-- Returns 0 where another worker noted this attempt or the delivery is gone, 2 where the webhook was
-- disabled by this, else 1.
local before = redis.call('HGET', KEYS[3], 'attempts')
if not before then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return 0
end
if before ~= ARGV[3] then return 0 end
local number = tonumber(before) + 1
redis.call('HSET', KEYS[3], 'attempts', number, 'attempt:' .. number, ARGV[4], 'last', ARGV[5])
redis.call('HDEL', KEYS[3], 'attempt:' .. (number - tonumber(ARGV[15])))
-- Who asked for it again while this attempt was being made gets one more.
if (redis.call('HGET', KEYS[3], 'asked') or '0') == ARGV[19] then
  redis.call('HSET', KEYS[3], 'status', ARGV[6], 'stage', ARGV[7], 'next_at_ms', ARGV[8])
  if ARGV[8] == '' then
    redis.call('ZREM', KEYS[2], ARGV[2])
  else
    redis.call('ZADD', KEYS[2], 'XX', ARGV[8], ARGV[2])
  end
end
if redis.call('HGET', KEYS[1], 'disabled') ~= '' then return 1 end
-- What an endpoint answers says nothing of the one that took its place meanwhile.
if redis.call('HGET', KEYS[1], 'url') ~= ARGV[20] then return 1 end
redis.call('HSET', KEYS[1], 'took_ms', ARGV[16])
if ARGV[18] ~= '0' then redis.call('HSET', KEYS[1], 'quiet_until', ARGV[18]) end
if ARGV[10] == '1' then
  redis.call('HSET', KEYS[1], 'last_success_ms', ARGV[9], 'failing_since_ms', '')
  return 1
end
local since = redis.call('HGET', KEYS[1], 'failing_since_ms')
local last = tonumber(redis.call('HGET', KEYS[1], 'last_failure') or ARGV[9])
redis.call('HSET', KEYS[1], 'last_failure', ARGV[9])
if since == '' or tonumber(ARGV[9]) - last > tonumber(ARGV[17]) then
  since = ARGV[9]
  redis.call('HSET', KEYS[1], 'failing_since_ms', since)
end
if ARGV[11] ~= '1' and tonumber(ARGV[9]) - tonumber(since) < tonumber(ARGV[12]) then return 1 end
redis.call('HSET', KEYS[1], 'disabled', ARGV[13], 'disabled_at_ms', ARGV[9])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('XADD', KEYS[5], '*', 'e', ARGV[14])
return 2

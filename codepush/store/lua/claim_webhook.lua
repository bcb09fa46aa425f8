-- Take a webhook for one worker, or hold it longer, and return what of its queue is due.
-- KEYS: webhook, its queue, organization's queue of webhooks.
-- ARGV: id, who takes it, now in ms, until when, most members to return.
-- Returns members of the queue, none where nothing is due or where its endpoint asked to be left
-- alone; or nil where another worker has it, or nobody is to have it.
local webhook = redis.call('HMGET', KEYS[1], 'disabled', 'holder', 'held_until')
local is_own = webhook[2] == ARGV[2]
if webhook[1] ~= '' then
  if is_own then redis.call('HDEL', KEYS[1], 'holder', 'held_until') end
  redis.call('ZREM', KEYS[3], ARGV[1])
  return nil
end
if webhook[2] and not is_own and tonumber(webhook[3]) > tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[3], webhook[3], ARGV[1])
  return nil
end
local quiet = redis.call('HGET', KEYS[1], 'quiet_until')
if quiet and tonumber(quiet) > tonumber(ARGV[3]) then
  if is_own then
    redis.call('HSET', KEYS[1], 'held_until', ARGV[4])
    quiet = ARGV[4]
  end
  redis.call('ZADD', KEYS[3], quiet, ARGV[1])
  return {}
end
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[3], 'LIMIT', 0, ARGV[5])
if #due > 0 or is_own then
  redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'held_until', ARGV[4])
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
  return due
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if first[1] then
  redis.call('ZADD', KEYS[3], first[2], ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return due

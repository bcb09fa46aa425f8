-- Bring forward all that a webhook waits for, since the clock that it was put off by jumped back.
-- KEYS: webhook, its queue, its log, organization's queue of webhooks.
-- ARGV: id, time before the jump in ms, now, by how many ms a worker may hold a webhook at most.
-- Returns 1, or 0 where it was done before or there is no such webhook.
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HGET', KEYS[1], 'jump') == ARGV[2] then
  return 0
end
local now = tonumber(ARGV[3])
local by = tonumber(ARGV[2]) - now
local function earlier(text)
  return string.format('%.0f', tonumber(text) - by)
end
local function time_in(field)  -- nil also for what is no number, which was put there by hand
  return tonumber(redis.call('HGET', KEYS[1], field) or '')
end
-- All by as much, so that their order stays, and that of those that come after.
for _, key in ipairs({KEYS[2], KEYS[3]}) do
  local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #found, 2 do redis.call('ZADD', key, earlier(found[i + 1]), found[i]) end
end
local due = redis.call('ZSCORE', KEYS[4], ARGV[1])
if due then redis.call('ZADD', KEYS[4], earlier(due), ARGV[1]) end
for _, field in ipairs({'last_due', 'quiet_until'}) do
  local at = time_in(field)
  if at then redis.call('HSET', KEYS[1], field, earlier(at)) end
end
-- A worker that lives may have held it anew meanwhile, by the new clock.
local held = time_in('held_until')
if held and held > now + tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], 'held_until', earlier(held))
end
redis.call('HSET', KEYS[1], 'jump', ARGV[2])
return 1

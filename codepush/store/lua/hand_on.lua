-- Put deliveries into the queues of webhooks, and note how far the audit chain was handed on.
-- KEYS: head, organization's queue of webhooks, the notices, then for each delivery: webhook, its
--       queue, its log, delivery.
-- ARGV: head it must be or '' for any, new head or '', now in ms, seconds to keep deliveries, most
--       deliveries in a log, '1' to put those that are there already into the queue again, how many
--       notices, the notices, then for each delivery: webhook id, member of the queue and the log,
--       sequence number, name of the notice, its number.
-- Returns the deliveries that left the logs for it, as webhook id and member in turns; or nil
-- where the head is another.
if ARGV[1] ~= '' and (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return nil end

-- Take the oldest out of a log that does not wait; the oldest where none is among the first.
local function pop_oldest(log, queue)
  if redis.call('ZCARD', log) > redis.call('ZCARD', queue) then
    for _, member in ipairs(redis.call('ZRANGE', log, 0, 199)) do
      if not redis.call('ZSCORE', queue, member) then
        redis.call('ZREM', log, member)
        return member
      end
    end
  end
  return redis.call('ZPOPMIN', log)[1]
end

local now = tonumber(ARGV[3])
local left = {}
local notices = tonumber(ARGV[7])
for i = 1, notices do
  -- Before the deliveries: one of them without what it tells would be dropped.
  redis.call('HSET', KEYS[2 + i], 'text', ARGV[7 + i])
  redis.call('EXPIRE', KEYS[2 + i], ARGV[4])
end
local k = 3 + notices
for i = 8 + notices, #ARGV, 5 do
  local webhook, queue, log, delivery = unpack(KEYS, k, k + 3)
  k = k + 4
  local is_new = redis.call('EXISTS', delivery) == 0
  if redis.call('HGET', webhook, 'disabled') == '' and (is_new or ARGV[6] == '1') then
    -- Never before one that came earlier, though clocks of workers differ.
    local due = math.max(now, tonumber(redis.call('HGET', webhook, 'last_due') or '0'))
    local text = string.format('%.0f', due)
    redis.call('HSET', webhook, 'last_due', text)
    redis.call('HSET', delivery, 'status', 'waiting', 'stage', '0', 'next_at_ms', text)
    if is_new then
      redis.call('HSET', delivery, 'sequence', ARGV[i + 2], 'notice', ARGV[i + 3],
        'created_at_ms', text, 'attempts', '0')
      redis.call('HINCRBY', KEYS[2 + tonumber(ARGV[i + 4])], 'uses', 1)
    else
      redis.call('HINCRBY', delivery, 'asked', 1)
    end
    redis.call('EXPIRE', delivery, ARGV[4])
    redis.call('ZADD', queue, text, ARGV[i + 1])
    redis.call('ZADD', log, 'NX', text, ARGV[i + 1])
    for _ = 1, redis.call('ZCARD', log) - tonumber(ARGV[5]) do
      left[#left + 1] = ARGV[i]
      left[#left + 1] = pop_oldest(log, queue)
    end
    redis.call('ZADD', KEYS[2], 'LT', text, ARGV[i])
  end
end
-- Those that nobody was to be told of.
for i = 1, notices do
  if redis.call('HEXISTS', KEYS[2 + i], 'uses') == 0 then redis.call('DEL', KEYS[2 + i]) end
end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
return left

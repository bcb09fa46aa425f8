-- Let go of devices that have said nothing for long.
-- KEYS: counts, devices, seen, series.  ARGV: last day that is too long ago, hour and day since 1970,
-- most devices to let go of.
-- Returns how many it were.
local gone = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, ARGV[4])
local left = {}
for _, device in ipairs(gone) do
  local held = redis.call('HGET', KEYS[2], device)
  if held then
    local place = string.match(held, '^[^|]*')
    if place ~= '' then left[place] = (left[place] or 0) + 1 end
    redis.call('HDEL', KEYS[2], device)
  end
  redis.call('ZREM', KEYS[3], device)
end
for place, number in pairs(left) do
  local field = place .. '|active'
  if tonumber(redis.call('HGET', KEYS[1], field) or '0') <= number then
    redis.call('HDEL', KEYS[1], field)
  else
    redis.call('HINCRBY', KEYS[1], field, -number)
  end
  if string.match(place, '^v[0-9]+$') then
    redis.call('HINCRBY', KEYS[4], 'h' .. ARGV[2] .. '|' .. field, -number)
    redis.call('HINCRBY', KEYS[4], 'd' .. ARGV[3] .. '|' .. field, -number)
  end
end
return #gone

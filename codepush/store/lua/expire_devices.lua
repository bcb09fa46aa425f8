-- Let go of devices that have said nothing for long, among some of them.
-- KEYS: counts, devices, series.  ARGV: cursor of a scan of devices, last day that is too long ago,
-- hour and day since 1970, about how many devices to look at.
-- Returns the next cursor, 0 at the end, and how many it let go of.
local reply = redis.call('HSCAN', KEYS[2], ARGV[1], 'COUNT', ARGV[5])
local scanned = reply[2]
local last = tonumber(ARGV[2])
local gone = 0
local left = {}
for i = 1, #scanned, 2 do
  local place, day = string.match(scanned[i + 1], '^(.-)|(.-)|')
  if tonumber(day) <= last and redis.call('HDEL', KEYS[2], scanned[i]) == 1 then
    gone = gone + 1
    if place ~= '' then left[place] = (left[place] or 0) + 1 end
  end
end
for place, number in pairs(left) do
  local field = place .. '|active'
  if tonumber(redis.call('HGET', KEYS[1], field) or '0') <= number then
    redis.call('HDEL', KEYS[1], field)
  else
    redis.call('HINCRBY', KEYS[1], field, -number)
  end
  if string.match(place, '^v[0-9]+$') then
    redis.call('HINCRBY', KEYS[3], 'h' .. ARGV[3] .. '|' .. field, -number)
    redis.call('HINCRBY', KEYS[3], 'd' .. ARGV[4] .. '|' .. field, -number)
  end
end
return {reply[1], gone}

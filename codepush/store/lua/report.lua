-- Count one report of a device, once.
-- KEYS: deployment, releases, counts, devices, seen.
-- ARGV: what happened (runs, downloaded or failed), label number or '' for a binary version, the
--       place as counted (label or version), device digest or '', report digest, day, most
--       counters a deployment may have, most labels and reports remembered of a device.
-- Returns 1 if it counted; 3 if it did not, but the device is at that place; 2 if neither; 0 where
-- the deployment is gone; -1 where the label is unknown.
local what, number, place, device = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if number ~= '' and redis.call('HEXISTS', KEYS[2], number) == 0 then return -1 end

local function count(at, counter, by)
  local field = at .. '|' .. counter
  if by < 0 then
    local now = tonumber(redis.call('HGET', KEYS[3], field) or '0')
    if now + by <= 0 then redis.call('HDEL', KEYS[3], field) return end
  end
  redis.call('HINCRBY', KEYS[3], field, by)
end

-- Binary versions come from devices: anybody can make one up, so their number is bounded.
if number == '' and redis.call('HEXISTS', KEYS[3], place .. '|active') == 0
    and redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[7]) then
  return -1
end

if device == '' then
  if what == 'runs' and number == '' then return 2 end
  count(place, what == 'runs' and 'installed' or what, 1)
  return 1
end

local record = redis.call('HGET', KEYS[4], device)
record = record and cjson.decode(record) or {place = '', reports = {}}

local function remember(list, value, most)
  list = record[list] or {}
  for _, held in ipairs(list) do
    if held == value then return false end
  end
  table.insert(list, value)
  while #list > most do table.remove(list, 1) end
  return list
end

local reports = remember('reports', ARGV[5], 8)
redis.call('ZADD', KEYS[5], ARGV[6], device)
if not reports then return record.place == place and 3 or 2 end
record.reports = reports

local changed = false
if what == 'runs' then
  if record.place ~= place then
    changed = true
    if record.place ~= '' then count(record.place, 'active', -1) end
    count(place, 'active', 1)
    record.place = place
  end
  what = 'installed'
end
if number ~= '' then
  local labels = remember(what, tonumber(number), tonumber(ARGV[8]))
  if labels then
    changed = true
    record[what] = labels
    count(place, what, 1)
  end
end
redis.call('HSET', KEYS[4], device, cjson.encode(record))
return changed and 1 or record.place == place and 3 or 2

-- Count reports of devices on one deployment, each once, in the order given.
-- KEYS: deployment, releases, counts, devices, series, failures.
-- ARGV: JSON with the hour since 1970 ('hour'), the time in s ('now'), most counters of a deployment
--       ('counters'), most characters for labels remembered of a device ('labels'), most reasons
--       kept of a label ('reasons') and those of them kept for being new ('newest'), 'kinds': what
--       is reported, each an array of what happened (runs, downloaded, failed or leaves), label
--       number or 0 for a binary version, the place as counted (label or version), report digest
--       (12 bytes), and why it failed or ''; and 'reports': by turns the number of a kind, from 1,
--       and a device digest or ''.
-- Returns for each: 1 if it counted; 3 if it did not, but the device is at that place; 2 if neither;
-- 0 where the deployment is gone; -1 where the label is unknown.
local asked = cjson.decode(ARGV[1])
local reports = asked.reports
local outcomes = {}
if redis.call('EXISTS', KEYS[1]) == 0 then
  for i = 1, #reports / 2 do outcomes[i] = 0 end
  return outcomes
end
local day = string.format('%d', math.floor(asked.hour / 24))
local FINGERPRINT = 12
local KEPT = 8 * FINGERPRINT

-- What this batch changes in counters: place -> counter -> by how much. Written at the end.
local deltas = {}
local function count(place, counter, by)
  local at = deltas[place]
  if not at then
    at = {}
    deltas[place] = at
  end
  at[counter] = (at[counter] or 0) + by
end

local known = {}
local function is_release(number)
  if known[number] == nil then known[number] = redis.call('HEXISTS', KEYS[2], number) == 1 end
  return known[number]
end

-- Binary versions come from devices: anybody can make one up, so their number is bounded. Beyond
-- that, a rare one makes room: a flood of them pushes out itself.
local fresh = 0
local function admit(version)
  if deltas[version] or redis.call('HEXISTS', KEYS[3], version .. '|active') == 1 then
    return true
  end
  if redis.call('HLEN', KEYS[3]) + fresh >= asked.counters then
    local rarest, least
    local sample = redis.call('HRANDFIELD', KEYS[3], 20, 'WITHVALUES')
    for i = 1, #sample, 2 do
      local place = string.match(sample[i], '^(.*)|active$')
      local active = tonumber(sample[i + 1])
      if place and not string.match(place, '^v[0-9]+$') and (not least or active < least) then
        rarest, least = sample[i], active
      end
    end
    if not rarest then return false end
    redis.call('HDEL', KEYS[3], rarest)
  end
  fresh = fresh + 1
  return true
end

local function remembers(fingerprints, wanted)
  for at = 1, #fingerprints, FINGERPRINT do
    if string.sub(fingerprints, at, at + FINGERPRINT - 1) == wanted then return true end
  end
  return false
end

-- Return the labels that something was reported of, such as ',3,12,', with one more; nil where it is
-- there.
local function with(labels, number)
  local text = ',' .. number .. ','
  if string.find(labels, text, 1, true) then return nil end
  labels = labels .. (labels == '' and text or number .. ',')
  while #labels > asked.labels do labels = string.match(labels, '^,[^,]*(,.*)$') end
  return labels
end

-- Keep why something failed: the newest reasons, and of the others the most frequent.
local failures = {}
local function note(place, reason)
  if reason == '' then return end
  local list = failures[place]
  if not list then
    local held = redis.call('HGET', KEYS[6], place)
    list = held and cjson.decode(held) or {}
    failures[place] = list
  end
  for i = 1, #list do
    if list[i][1] == reason then
      local one = table.remove(list, i)
      list[#list + 1] = {reason, one[2] + 1, asked.now}
      return
    end
  end
  if #list >= asked.reasons then
    local rarest = 1
    for i = 2, #list - asked.newest + 1 do
      if list[i][2] < list[rarest][2] then rarest = i end
    end
    table.remove(list, rarest)
  end
  list[#list + 1] = {reason, 1, asked.now}
end

local LISTS = {runs = 4, downloaded = 5, failed = 6}
local COUNTERS = {runs = 'installed', downloaded = 'downloaded', failed = 'failed'}

-- What is known of the batch's devices, read in one go and written in one go:
-- place | day of the last report | last reports | labels installed | downloaded | failed
local records = {}
local names = {}
for i = 2, #reports, 2 do
  local device = reports[i]
  if device ~= '' and records[device] == nil then
    records[device] = false
    names[#names + 1] = device
  end
end
if #names > 0 then
  for i, held in ipairs(redis.call('HMGET', KEYS[4], unpack(names))) do
    records[names[i]] = held and {string.match(held, '^(.-)|(.-)|(.-)|(.-)|(.-)|(.*)$')}
      or {'', '', '', '', '', ''}
  end
end
local touched = {}

local function apply(device, what, number, place, fingerprint, reason)
  if what ~= 'leaves' then
    if number > 0 then
      if not is_release(number) then return -1 end
    elseif number < 0 or not admit(place) then
      return -1
    end
  end
  if device == '' then
    if number == 0 then return 2 end
    count(place, COUNTERS[what], 1)
    if what == 'failed' then note(place, reason) end
    return 1
  end

  local record = records[device]
  if what == 'leaves' then
    if record[1] == '' then return 2 end
    count(record[1], 'active', -1)
    record[1] = ''
    touched[device] = true
    return 1
  end

  if record[2] ~= day then
    record[2] = day
    touched[device] = true
  end
  local changed = false
  if not remembers(record[3], fingerprint) then
    record[3] = string.sub(record[3] .. fingerprint, -KEPT)
    touched[device] = true
    if what == 'runs' and record[1] ~= place then
      changed = true
      if record[1] ~= '' then count(record[1], 'active', -1) end
      count(place, 'active', 1)
      record[1] = place
    end
    local labels = number > 0 and with(record[LISTS[what]], number)
    if labels then
      record[LISTS[what]] = labels
      changed = true
      count(place, COUNTERS[what], 1)
      if what == 'failed' then note(place, reason) end
    end
  end
  return changed and 1 or record[1] == place and 3 or 2
end

for i = 1, #reports, 2 do
  outcomes[#outcomes + 1] = apply(reports[i + 1], unpack(asked.kinds[reports[i]]))
end

local written = {}
for device in pairs(touched) do
  written[#written + 1] = device
  written[#written + 1] = table.concat(records[device], '|')
end
if #written > 0 then redis.call('HSET', KEYS[4], unpack(written)) end
for place, counters in pairs(deltas) do
  local is_label = string.match(place, '^v[0-9]+$')
  for counter, by in pairs(counters) do
    local field = place .. '|' .. counter
    if by < 0 then
      local now = tonumber(redis.call('HGET', KEYS[3], field) or '0')
      if now + by <= 0 then
        redis.call('HDEL', KEYS[3], field)
      else
        redis.call('HINCRBY', KEYS[3], field, by)
      end
    elseif by > 0 then
      redis.call('HINCRBY', KEYS[3], field, by)
    end
    if is_label and by ~= 0 then
      redis.call('HINCRBY', KEYS[5], 'h' .. asked.hour .. '|' .. field, by)
      redis.call('HINCRBY', KEYS[5], 'd' .. day .. '|' .. field, by)
    end
  end
end
for place, list in pairs(failures) do redis.call('HSET', KEYS[6], place, cjson.encode(list)) end
return outcomes

-- Read keys of any type as of one moment.
-- KEYS: the keys, of one group.  ARGV: most elements to read.
-- Returns for each key that exists {its place in KEYS, type, ms since 1970 when it expires or -1,
-- elements}, or nothing but a number where there are more elements. A stream's last element is {last id,
-- number ever added, highest id deleted}.
local sizes = {hash = 'HLEN', set = 'SCARD', zset = 'ZCARD', list = 'LLEN', stream = 'XLEN'}
local types, total = {}, 0
for i, key in ipairs(KEYS) do
  types[i] = redis.call('TYPE', key).ok
  local size = sizes[types[i]]
  if size then total = total + redis.call(size, key) end
end
if total > tonumber(ARGV[1]) then return total end
local read = {
  string = function(key) return {redis.call('GET', key)} end,
  hash = function(key) return redis.call('HGETALL', key) end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  stream = function(key)
    local rows, about = redis.call('XRANGE', key, '-', '+'), {}
    local info = redis.call('XINFO', 'STREAM', key)
    for i = 1, #info, 2 do about[info[i]] = info[i + 1] end
    rows[#rows + 1] = {
      about['last-generated-id'], about['entries-added'], about['max-deleted-entry-id']
    }
    return rows
  end,
}
local found = {}
for i, key in ipairs(KEYS) do
  if read[types[i]] then
    found[#found + 1] = {i, types[i], redis.call('PEXPIRETIME', key), read[types[i]](key)}
  end
end
return found

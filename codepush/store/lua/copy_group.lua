-- Copy keys of any type as of one moment, to be read at leisure.
-- KEYS: the keys, of one group, then a name for each copy.  ARGV: ms that the copies live.
-- Returns for each key that exists {its place in KEYS, type, ms since 1970 when it expires or -1}.
local found = {}
local count = #KEYS / 2
for i = 1, count do
  if redis.call('COPY', KEYS[i], KEYS[count + i], 'REPLACE') == 1 then
    found[#found + 1] = {i, redis.call('TYPE', KEYS[i]).ok, redis.call('PEXPIRETIME', KEYS[i])}
    redis.call('PEXPIRE', KEYS[count + i], ARGV[1])
  end
end
return found

-- Copy keys of any type as of one moment, to be read at leisure, if there is room for copies.
-- KEYS: the keys, of one group, then a name for each copy.
-- ARGV: ms that the copies live, or 0 to copy nothing.
-- Returns how many bytes copies lack the room for, or 0 where they are made; then for each key that
-- exists {its place in KEYS, type, ms since 1970 when it expires or -1}.
-- Redis looks at maxmemory before the first write of a script and not again, so it is done here. Copies
-- take no more than half of what is left: the server goes on writing, and sizes are estimates.
local count = #KEYS / 2
local memory = redis.call('INFO', 'memory')
local function told(field) return tonumber(string.match(memory, '\n' .. field .. ':(%d+)') or 0) end
local lacking = 0
if told('maxmemory') > 0 then
  local size = 0
  for i = 1, count do
    size = size + (redis.call('MEMORY', 'USAGE', KEYS[i], 'SAMPLES', 50) or 0)
  end
  if 2 * size > told('maxmemory') - told('used_memory') then lacking = size end
end
local found = {}
for i = 1, count do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' then
    found[#found + 1] = {i, kind, redis.call('PEXPIRETIME', KEYS[i])}
    if ARGV[1] ~= '0' and lacking == 0 then
      redis.call('COPY', KEYS[i], KEYS[count + i], 'REPLACE')
      redis.call('PEXPIRE', KEYS[count + i], ARGV[1])
    else
      redis.call('UNLINK', KEYS[count + i])  -- of a first run whose answer was lost
    end
  end
end
return {lacking, found}

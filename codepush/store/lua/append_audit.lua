-- Append entries to an organization's audit chain and note how far a log was folded.
-- KEYS: head, chain.
-- ARGV: sequence number the chain must end at, number of logs that were read, for each of them the
--       field of its cursor in the head, its old value or '' and its new value, then for each entry
--       its JSON, its hash and the latest time until then.
-- Returns 1, or 0 where somebody else folded meanwhile.
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq') or '0')
if seq ~= tonumber(ARGV[1]) then return 0 end
local first = 3 + 3 * tonumber(ARGV[2])
for i = 3, first - 1, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = first, #ARGV, 3 do
  seq = seq + 1
  local id = string.format('%.0f', seq)
  redis.call('XADD', KEYS[2], id .. '-0', 'e', ARGV[i], 'h', ARGV[i + 1], 't', ARGV[i + 2])
  redis.call('HSET', KEYS[1], 'seq', id, 'hash', ARGV[i + 1], 'latest', ARGV[i + 2])
end
for i = 3, first - 1, 3 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
return 1

-- Append entries to an organization's audit chain and note how far a log was folded.
-- KEYS: head, chain.
-- ARGV: sequence number the chain must end at, field of the cursor in the head, its old value or '',
--       its new value, then for each entry its JSON and its hash.
-- Returns 1, or 0 where somebody else folded meanwhile.
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq') or '0')
if seq ~= tonumber(ARGV[1]) then return 0 end
if (redis.call('HGET', KEYS[1], ARGV[2]) or '') ~= ARGV[3] then return 0 end
for i = 5, #ARGV, 2 do
  seq = seq + 1
  redis.call('XADD', KEYS[2], string.format('%.0f-0', seq), 'e', ARGV[i], 'h', ARGV[i + 1])
  redis.call('HSET', KEYS[1], 'seq', string.format('%.0f', seq), 'hash', ARGV[i + 1])
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
return 1

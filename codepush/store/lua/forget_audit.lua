-- Drop the oldest entries of an organization's audit chain, up to one that is still in it.
-- KEYS: head, chain.  ARGV: number of the last entry to drop, its hash.
-- Returns 1, or 0 where somebody else dropped it: maybe more than that, so the base stays there.
local id = ARGV[1] .. '-0'
if #redis.call('XRANGE', KEYS[2], id, id) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'base', ARGV[1], 'base_hash', ARGV[2])
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f', ARGV[1] + 1) .. '-0')
return 1

-- Change a history in one step, if it is still the one the change was decided on, and log it.
-- KEYS: deployment, releases, log, record of an idempotent request, app, then keys to remove.
-- ARGV: version the change was decided on, by how much the new one is higher, highest label number
--       ever given, number of the newest release or '', event or '', organization that the app must
--       still have for it or '', record of the request or '', seconds to keep that, number of
--       releases to write, then number and JSON of each, then the numbers of releases to drop.
-- Returns the new version, or 0 where the deployment is gone or its app has moved, or -1 where its
-- version is another or the request was carried out before.
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 0 end
if ARGV[6] ~= '' and redis.call('HGET', KEYS[5], 'organization_id') ~= ARGV[6] then return 0 end
if version ~= ARGV[1] then return -1 end
if ARGV[7] ~= '' and not redis.call('SET', KEYS[4], ARGV[7], 'NX', 'EX', ARGV[8]) then return -1 end
local at = 10
for _ = 1, tonumber(ARGV[9]) do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
for k = 6, #KEYS do redis.call('UNLINK', KEYS[k]) end
if ARGV[5] ~= '' then redis.call('XADD', KEYS[3], '*', 'e', ARGV[5]) end
redis.call('HSET', KEYS[1], 'label_seq', ARGV[3], 'latest', ARGV[4])
version = redis.call('HINCRBY', KEYS[1], 'version', ARGV[2])
redis.call('PUBLISH', KEYS[1], version)
return version

-- Remove an app and all below it, so that no half of it answers; its log stays, to be folded.
-- KEYS: log, app, collaborators, deployments, then all other keys of the app and its
--       deployments.
-- ARGV: event, organization, then the ids of the deployments those keys belong to.
-- Returns 1, or 0 where the app is gone or has moved, or -1 where its deployments are others by
-- now.
if redis.call('HGET', KEYS[2], 'organization_id') ~= ARGV[2] then return 0 end
local given = {}
for i = 3, #ARGV do given[ARGV[i]] = true end
local ids = redis.call('HVALS', KEYS[4])
if #ids ~= #ARGV - 2 then return -1 end
for _, id in ipairs(ids) do
  if not given[id] then return -1 end
end
for k = 2, #KEYS do redis.call('UNLINK', KEYS[k]) end
for k = 5, #KEYS do
  if string.match(KEYS[k], ':d:[^:]+$') then redis.call('PUBLISH', KEYS[k], 0) end
end
redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
return 1

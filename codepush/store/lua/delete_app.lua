-- Remove an app and all below it, so that no half of it answers.
-- KEYS: app, collaborators, deployments, then every key of every deployment.
-- ARGV: ids of the deployments those keys belong to.
-- Returns 1, or 0 where the app is gone, or -1 where its deployments are others by now.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local given = {}
for _, id in ipairs(ARGV) do given[id] = true end
local ids = redis.call('HVALS', KEYS[3])
if #ids ~= #ARGV then return -1 end
for _, id in ipairs(ids) do
  if not given[id] then return -1 end
end
for _, key in ipairs(KEYS) do redis.call('UNLINK', key) end
return 1

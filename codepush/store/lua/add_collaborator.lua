-- Make a user a collaborator, and log it.
-- KEYS: app, collaborators, log.  ARGV: user id, permission, event, organization.
-- Returns 1, or 0 where the app is gone or has moved, or -1 where the user is one already.
if redis.call('HGET', KEYS[1], 'organization_id') ~= ARGV[4] then return 0 end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return -1 end
redis.call('XADD', KEYS[3], '*', 'e', ARGV[3])
return 1

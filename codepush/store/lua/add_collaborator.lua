-- Make a user a collaborator.
-- KEYS: app, collaborators.  ARGV: user id, permission.
-- Returns 1, or 0 where the app is gone, or -1 where the user is one already.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return -1 end
return 1

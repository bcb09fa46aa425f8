-- Enter an app in the index of those whose logs may hold events of an organization, as of now.
-- KEYS: the index.  ARGV: the app's id.
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])

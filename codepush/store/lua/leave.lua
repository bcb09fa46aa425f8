-- Take a device off a deployment: it says that it runs another one now.
-- KEYS: deployment, counts, devices.  ARGV: device digest.
-- Returns 1 if it was somewhere.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local held = redis.call('HGET', KEYS[3], ARGV[1])
if not held then return 0 end
local record = cjson.decode(held)
if record.place == '' then return 0 end
local field = record.place .. '|active'
if tonumber(redis.call('HGET', KEYS[2], field) or '0') <= 1 then
  redis.call('HDEL', KEYS[2], field)
else
  redis.call('HINCRBY', KEYS[2], field, -1)
end
record.place = ''
redis.call('HSET', KEYS[3], ARGV[1], cjson.encode(record))
return 1

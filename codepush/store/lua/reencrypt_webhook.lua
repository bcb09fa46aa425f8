-- Write fields of a webhook that are as they were read.
-- KEYS: webhook.  ARGV: field, its value as read and its new value, in turns.
-- Returns how many were written.
local written = 0
for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    written = written + 1
  end
end
return written

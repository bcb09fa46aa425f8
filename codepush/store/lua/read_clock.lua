-- Read the store's clock, and notice when it has jumped back.
-- KEYS: the latest time that was read.  ARGV: by how many ms it may go back unnoticed, how old what is
--       noted may be, the time before a jump that was made up for or ''.
-- Returns the time in ms since 1970, and the latest one that was read before if it jumped, else 0.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- What is no time, or of another type, was put there by hand, and is overwritten.
local noted = redis.pcall('GET', KEYS[1])
local latest = tonumber(noted) or 0
local has_jumped = latest > now + tonumber(ARGV[1]) and noted ~= ARGV[3]
if noted == ARGV[3] or latest + tonumber(ARGV[2]) < now then
  -- A store that is full still tells the time.
  redis.pcall('SET', KEYS[1], string.format('%.0f', now))
end
return {now, has_jumped and latest or 0}

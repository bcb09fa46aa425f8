-- Take a name for an owner, unless another holds it.
-- KEYS: hash of claims.
-- ARGV: field, owner, owner whose old claim may be taken over or '', its least age in ms.
-- No two claims are the same text, so that whoever gives one back gives back the one they read.
-- Returns {1, now in ms} where the claim is the owner's, else {0, its owner, its age in ms}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
  local owner, since = string.match(held, '^(.*)|(%d+)$')
  if owner then  -- else it was damaged by hand, and is nobody's
    local age = now - since
    if owner ~= ARGV[2] and (owner ~= ARGV[3] or age < tonumber(ARGV[4])) then
      return {0, owner, age}
    end
    now = math.max(now, since + 1)
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. string.format('%.0f', now))
return {1, now}

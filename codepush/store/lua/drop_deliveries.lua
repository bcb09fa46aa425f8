-- Remove deliveries, and what they tell where no other delivery tells it.
-- KEYS: delivery and its notice, in turns.
-- Returns how many were there.
local count = 0
for i = 1, #KEYS, 2 do
  if redis.call('DEL', KEYS[i]) == 1 then
    count = count + 1
    if redis.call('EXISTS', KEYS[i + 1]) == 1
      and redis.call('HINCRBY', KEYS[i + 1], 'uses', -1) <= 0 then
      redis.call('DEL', KEYS[i + 1])
    end
  end
end
return count

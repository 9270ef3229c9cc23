-- Take bytes from a bucket that holds a window's worth and refills evenly. KEYS[1]: field `full`, the µs when it is full.
-- ARGV: the fewest and the most bytes to take, the bucket's size, the window (µs). A negative number is given back.
-- Returns the bytes taken; or, if there are too few, minus the µs until there are enough.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local fewest, most, size, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local full = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'full') or 0))
local left = math.floor((now + window - full) * size / window)
if left < fewest then
  return -math.max(1, math.ceil((fewest - left) * window / size))
end
local taken = math.min(most, left)
full = math.max(now, full + math.ceil(taken * window / size))
redis.call('HSET', KEYS[1], 'full', string.format('%.0f', full))
redis.call('PEXPIRE', KEYS[1], math.ceil((full - now) / 1000) + 1)
return taken

-- Take one from a bucket that holds a window's worth and refills evenly (GCRA). KEYS[1] handshakes:{key}: a hash whose
-- field `full` is the µs at which the bucket is full again; a hash, because the documented rights have no GET.
-- ARGV: handshakes per window, window (µs). Returns 0 if taken, else the µs until there is one.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = tonumber(ARGV[2])
local full = tonumber(redis.call('HGET', KEYS[1], 'full') or 0)
full = math.max(now, full) + window / ARGV[1]
if full - now > window then
  return math.max(1, math.ceil(full - now - window))
end
redis.call('HSET', KEYS[1], 'full', string.format('%.0f', full))
redis.call('PEXPIRE', KEYS[1], math.max(1, math.ceil((full - now) / 1000)))
return 0

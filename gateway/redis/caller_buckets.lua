-- Take from token buckets of one caller, from all or from none (GCRA). KEYS[1] calls:{caller}: a hash, by bucket the µs
-- at which it is full. ARGV: window (µs), then of each bucket its name, the amount, and the µs in which one refills.
-- Returns 0, 0 if taken; else the place of the bucket that needs longest, and the µs until it holds enough.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = tonumber(ARGV[1])
local place, wait, taken = 0, 0, {}
for i = 2, #ARGV, 3 do
  local full_at = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0)
  full_at = math.min(math.max(full_at, now), now + window) + ARGV[i + 1] * ARGV[i + 2]
  if full_at - now - window > wait then
    place, wait = (i + 1) / 3, full_at - now - window
  end
  taken[#taken + 1] = ARGV[i]
  taken[#taken + 1] = string.format('%.0f', full_at)
end
if wait > 0 then
  return {place, wait}
end
redis.call('HSET', KEYS[1], unpack(taken))
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return {0, 0}

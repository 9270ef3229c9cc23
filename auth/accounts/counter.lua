-- A sliding window: the last times of one key, oldest first, as ms on Redis' own clock; expires a window after the last.
-- KEYS[1] the list · ARGV the limit, the window in ms, "1" to count one if the limit allows it
-- Returns the ms until the limit allows one more, 0 if it does now.
local most, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if redis.call('LLEN', KEYS[1]) >= most then
  local wait = redis.call('LINDEX', KEYS[1], 0) + window - now
  if wait > 0 then
    return wait
  end
end
if ARGV[3] == '1' then
  redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
  redis.call('LTRIM', KEYS[1], -most, -1)
  redis.call('PEXPIRE', KEYS[1], window)
end
return 0

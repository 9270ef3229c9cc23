-- The reports of all replicas. KEYS[1] replicas; ARGV: ttl (ms), and to write one: its replica, the report.
-- Without a report, returns those that are younger than the ttl: replica, age (ms), report, …
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries = redis.call('HGETALL', KEYS[1])
local fresh = {}
for i = 1, #entries, 2 do
  local at, report = string.match(entries[i + 1], '^(%d+) (.*)$')
  if not at or now - at > tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], entries[i])
  elseif not ARGV[2] then
    fresh[#fresh + 1] = entries[i]
    fresh[#fresh + 1] = string.format('%.0f', now - at)
    fresh[#fresh + 1] = report
  end
end
if ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f %s', now, ARGV[3]))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return fresh

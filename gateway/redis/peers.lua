-- Register a process among those that use this Redis. KEYS[1] peers; ARGV: name, its standing as text, ttl (ms).
-- Returns the others that registered within the ttl: name, text, …
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries = redis.call('HGETALL', KEYS[1])
local others = {}
for i = 1, #entries, 2 do
  local at, text = string.match(entries[i + 1], '^(%d+) (.*)$')
  if not at or now - at > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], entries[i])
  elseif entries[i] ~= ARGV[1] then
    others[#others + 1] = entries[i]
    others[#others + 1] = text
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now, ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return others

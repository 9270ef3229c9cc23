-- Clear a dead node's seats from a chat. KEYS[1] presence:{chat}; ARGV: node.
-- Returns {users present, then id and name of each user without a seat left…}.
local entries = redis.call('HGETALL', KEYS[1])
local answer = {0}
for i = 1, #entries, 2 do
  if string.find(entries[i + 1], ARGV[1], 1, true) then -- decoding every entry of a large chat would block Redis
    local user = cjson.decode(entries[i + 1])
    local changed = false
    for id, seat in pairs(user.s) do
      if seat[1] == ARGV[1] then
        user.s[id] = nil
        changed = true
      end
    end
    if changed and next(user.s) == nil then
      redis.call('HDEL', KEYS[1], entries[i])
      answer[#answer + 1] = entries[i]
      answer[#answer + 1] = user.n
    elseif changed then
      redis.call('HSET', KEYS[1], entries[i], cjson.encode(user))
    end
  end
end
answer[1] = redis.call('HLEN', KEYS[1])
return answer

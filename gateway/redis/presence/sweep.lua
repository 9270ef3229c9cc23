-- One step of clearing a dead node's seats from a chat. KEYS[1] presence:{chat}; ARGV: node, cursor ("0" begins), and how
-- many entries the step looks at, about: Redis serves no other client meanwhile.
-- Returns {next cursor ("0" after the last step), users present, then id and name of each user without a seat left…}.
local scanned = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
local entries = scanned[2]
local answer = {scanned[1], 0}
for i = 1, #entries, 2 do
  if string.find(entries[i + 1], ARGV[1], 1, true) then -- decoding every entry of a large chat would take too long
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
answer[2] = redis.call('HLEN', KEYS[1])
return answer

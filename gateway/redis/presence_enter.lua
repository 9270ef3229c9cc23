-- Take a seat. KEYS[1] presence:{chat}; one field a user: {n = username, s = {connection id = seat}}, where a seat is
-- {node, connected at (s), exclusive (0 or 1), claim (µs, as a string: cjson would round it)}.
-- ARGV: user id, username, connection id, node, exclusive, claim ("" for a new one), node whose seats do not count, ttl (s),
-- reject a second exclusive seat (0 or 1).
-- Returns {1 if the user was absent, users present, claim, displaced connection ids…}; {-1, node} if the user's exclusive
-- seat on that node rejects this one; {-2} if a re-asserted seat meets a higher claim.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local packed = redis.call('HGET', KEYS[1], ARGV[1])
local user = packed and cjson.decode(packed) or {s = {}}
local connection, exclusive = ARGV[3], ARGV[5] == '1'
local was_absent = next(user.s) == nil

local highest = 0
for id, seat in pairs(user.s) do
  if id ~= connection and seat[3] == 1 and seat[1] ~= ARGV[7] then
    if exclusive and ARGV[9] == '1' then
      return {-1, seat[1]}
    end
    highest = math.max(highest, tonumber(seat[4]))
  end
end

local claim
if ARGV[6] == '' then
  claim = math.max(now, highest + 1) -- whoever asks last wins, also where the clock has gone back
else
  claim = tonumber(ARGV[6])
  if exclusive and highest > claim then
    return {-2}
  end
end

local answer = {was_absent and 1 or 0, 0, string.format('%.0f', claim)}
if exclusive then
  for id, seat in pairs(user.s) do
    if id ~= connection and seat[3] == 1 then
      user.s[id] = nil
      answer[#answer + 1] = id
    end
  end
end

user.n = ARGV[2]
user.s[connection] = {ARGV[4], time[1], exclusive and 1 or 0, string.format('%.0f', claim)}
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(user))
redis.call('EXPIRE', KEYS[1], ARGV[8])
answer[2] = redis.call('HLEN', KEYS[1])
return answer

-- Take a seat. KEYS[1] presence:{chat}: one field a user, {n = username, s = {connection id = seat}}, where a seat is
-- {node, exclusive (0 or 1), claim (µs, as a string: cjson would round it)}.
-- ARGV: user id, username, connection id, node, exclusive, claim ("" for a new one; below 0: so many µs ago), reject
-- (1: yield to an exclusive seat of the user), ttl (s), capacity (users; 0 = unlimited), deadline of this call (µs),
-- then the dead nodes, whose seats are ignored.
-- Returns the time (µs), and then: 1, 1 if the user was absent, users present, claim, {displaced connection ids…},
-- {crowded out: user id, its newest claim, …}; or 0 and the nodes of the seats that prevent this one: exclusive seats of
-- the user (all of them with reject, else those with a higher (claim, connection id)), and in a full chat the seats of the
-- users who came first; or -1 after the deadline: the caller has timed out.
local time = redis.call('TIME')
local packed = redis.call('HGET', KEYS[1], ARGV[1])
local user = packed and cjson.decode(packed) or {s = {}}
local connection, exclusive, given, reject = ARGV[3], ARGV[5] == '1', tonumber(ARGV[6]), ARGV[7] == '1'
local capacity = tonumber(ARGV[9])
local dead = {}
for i = 11, #ARGV do
  dead[ARGV[i]] = true
end

local now = time[1] * 1000000 + time[2]
if now > tonumber(ARGV[10]) then
  return {now, -1}
end
if given and given < 0 then
  given = now + given
end
local claim = given or now
local refusal, displaced, crowded = {now, 0}, {}, {}
if exclusive then
  for id, seat in pairs(user.s) do
    if id ~= connection and seat[2] == 1 then
      local other = tonumber(seat[3])
      local is_newer = given and (other > given or (other == given and id > connection))
      if not dead[seat[1]] and (reject or is_newer) then
        refusal[#refusal + 1] = seat[1]
      end
      if not given then
        claim = math.max(claim, other + 1) -- the last caller wins, even if Redis' clock was set back
      end
      displaced[#displaced + 1] = id
    end
  end
end

if capacity > 0 then
  -- A user has been present since its oldest claim. A user without a claim comes last.
  local since = given or math.huge
  for _, seat in pairs(given and user.s or {}) do
    since = dead[seat[1]] and since or math.min(since, tonumber(seat[3]))
  end
  local others = {}
  local entries = redis.call('HGETALL', KEYS[1])
  for i = 1, #entries, 2 do
    local other = {id = entries[i], since = math.huge, newest = 0, nodes = {}}
    for _, seat in pairs(other.id ~= ARGV[1] and cjson.decode(entries[i + 1]).s or {}) do
      if not dead[seat[1]] then
        other.since = math.min(other.since, tonumber(seat[3]))
        other.newest = math.max(other.newest, tonumber(seat[3]))
        other.nodes[#other.nodes + 1] = seat[1]
      end
    end
    if #other.nodes > 0 then
      others[#others + 1] = other
    end
  end
  table.sort(others, function(a, b)
    return a.since < b.since or (a.since == b.since and a.id < b.id)
  end)
  for rank, other in ipairs(others) do
    local is_first = other.since < since or (other.since == since and other.id < ARGV[1])
    if is_first and rank >= capacity then
      for _, earlier in ipairs(others) do
        for _, node in ipairs(earlier.nodes) do
          refusal[#refusal + 1] = node
        end
      end
      break
    elseif rank >= capacity then
      crowded[#crowded + 1] = other.id
      crowded[#crowded + 1] = string.format('%.0f', other.newest)
    end
  end
end
if #refusal > 2 then
  return refusal
end

local was_absent = true
for id in pairs(user.s) do
  was_absent = was_absent and id == connection -- this seat may exist from a call whose reply was lost
end
for _, id in ipairs(displaced) do
  user.s[id] = nil
end
for i = 1, #crowded, 2 do
  redis.call('HDEL', KEYS[1], crowded[i])
end
local claimed = string.format('%.0f', claim)
user.n = ARGV[2]
user.s[connection] = {ARGV[4], exclusive and 1 or 0, claimed}
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(user))
redis.call('EXPIRE', KEYS[1], ARGV[8])
return {now, 1, was_absent and 1 or 0, redis.call('HLEN', KEYS[1]), claimed, displaced, crowded}

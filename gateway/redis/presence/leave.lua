-- Give a seat back. KEYS[1] presence:{chat}; ARGV: user id, connection id.
-- Returns {1 if this was the user's last seat, users present}.
local packed = redis.call('HGET', KEYS[1], ARGV[1])
local gone = 0
if packed then
  local user = cjson.decode(packed)
  if user.s[ARGV[2]] then
    user.s[ARGV[2]] = nil
    if next(user.s) == nil then
      redis.call('HDEL', KEYS[1], ARGV[1])
      gone = 1
    else
      redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(user))
    end
  end
end
return {gone, redis.call('HLEN', KEYS[1])}

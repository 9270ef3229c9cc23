-- Change a node's clients. KEYS[1] clients:{node}; ARGV: ttl (ms), then fields, each with its value ("" takes it away).
-- In one step, as a key without a TTL would stay behind a node that dies in between.
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])

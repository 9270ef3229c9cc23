-- Change a node's clients. KEYS[1] clients:{node}; ARGV: ttl (ms), then pairs of field and value ("" deletes the field).
-- One atomic script, because a node that died between the commands would leave a key without a TTL.
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])

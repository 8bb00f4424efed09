-- KEYS[2]: secrets by name. ARGV[3]: the name. ARGV[4]: what it becomes if there is none.
local known = redis.call('HGET', KEYS[2], ARGV[3])
if known then
  return known
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
return ARGV[4]

-- KEYS[2]: the id. ARGV[3]: for how long it is kept, in milliseconds. ARGV[4]: who asks.
-- Looked up first: a server that is full still knows a replay.
local by = redis.call('GET', KEYS[2])
if by then
  return { by == ARGV[4] and 1 or 0, since }
end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3])
return { 1, since }

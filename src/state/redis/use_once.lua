-- KEYS[2]: the id. ARGV[3]: for how long it is kept, in milliseconds.
-- Looked up first: a server that is full still knows a replay.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return { 0, since }
end
redis.call('SET', KEYS[2], '', 'PX', ARGV[3])
return { 1, since }

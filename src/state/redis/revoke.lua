-- KEYS[2]: what each id is revoked up to and kept until. KEYS[3]: ids in the order of their last change. KEYS[4]: ids by
-- when they may be forgotten. ARGV[3], ARGV[4], ARGV[5], ARGV[6]…: each an id, up to when, kept until, in milliseconds.
for at = 3, #ARGV, 3 do
  local id, issued, keep = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local known = redis.call('HGET', KEYS[2], id)
  if known then
    local known_issued, known_keep = string.match(known, '^(%-?%d+) (%-?%d+)$')
    issued, keep = math.max(issued, tonumber(known_issued)), math.max(keep, tonumber(known_keep))
  end
  -- What is known already is no change: replicas that publish the same don't have all of them read it again.
  local value = whole(issued) .. ' ' .. whole(keep)
  if value ~= known then
    redis.call('HSET', KEYS[2], id, value)
    redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[1], 'changes', 1), id)
    redis.call('ZADD', KEYS[4], whole(keep), id)
  end
end
return incarnation

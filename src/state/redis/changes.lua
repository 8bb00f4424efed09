-- Keys as for `revoke`. ARGV[3], ARGV[4]: the incarnation and the change up to which who asks has read. ARGV[5]: how many
-- to tell at most. ARGV[6]: how long to keep them beyond their time, in milliseconds.
local gone = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', whole(now - ARGV[6]), 'LIMIT', 0, 100)
for _, id in ipairs(gone) do
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
end
local from = ARGV[3] == incarnation and ARGV[4] or '0'
local changes = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. from, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
local told = {}
for at = 1, #changes, 2 do
  local issued, keep = string.match(redis.call('HGET', KEYS[2], changes[at]), '^(%-?%d+) (%-?%d+)$')
  told[#told + 1] = { changes[at], issued, keep }
  from = changes[at + 1]
end
return { incarnation, whole(now - born), from, told }

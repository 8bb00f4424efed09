-- Before every script: which server this is, and since when it has forgotten nothing.
-- KEYS[1]: the head: one incarnation of what is remembered. ARGV[1]: a name for a new one. ARGV[2]: the time of who asks.
-- A server's replication id changes whenever it may have lost what was written last: when it starts, also from a snapshot,
-- and when it becomes the primary after another. A flush takes the head with it.
local replication = redis.call('INFO', 'replication')
if not string.find(replication, 'role:master', 1, true) then
  return redis.error_reply('READONLY this server is a replica')
end
local server = string.match(replication, 'master_replid:(%x+)')
if not server then
  return redis.error_reply('ERR this server does not tell its replication id')
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.ceil(clock[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
local head = redis.call('HMGET', KEYS[1], 'server', 'incarnation', 'born', 'since')
local incarnation, born, since = head[2], tonumber(head[3]), head[4]
if head[1] ~= server then
  incarnation, born = ARGV[1], now
  -- Of two clocks the one that is ahead counts; one that is far ahead is wrong.
  since = whole(math.max(now, math.min(tonumber(ARGV[2]), now + 60000)))
  redis.call('HSET', KEYS[1], 'server', server, 'incarnation', incarnation, 'born', whole(born), 'since', since)
end

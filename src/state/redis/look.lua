-- Nothing more than the head: this server can be asked. One that has a limit and drops keys would forget.
local memory = redis.call('INFO', 'memory')
local policy = string.match(memory, 'maxmemory_policy:([%w-]+)')
if string.match(memory, 'maxmemory:(%d+)') ~= '0' and policy ~= 'noeviction' then
  return redis.error_reply('EVICTS it drops keys when it is full (`maxmemory-policy ' .. policy .. '`): set it to noeviction')
end
return 1

-- Charges a key's rate limit, or says how long to wait (generic cell rate algorithm).
--
-- KEYS[1]  the limit of one API key
-- ARGV[1]  units to charge
-- ARGV[2]  units that a period allows
-- ARGV[3]  the period in seconds
--
-- The key holds the time until which the units taken so far last when they are spread evenly. Time is
-- Redis's, so that all processes agree. A refusal charges nothing.
-- Answer: {wait in ms (0: charged), units left, ms until all are back}
local clock = redis.call('TIME')
local at = clock[1] + clock[2] / 1e6
local limit, period = tonumber(ARGV[2]), tonumber(ARGV[3])
local units = math.min(tonumber(ARGV[1]), limit)
local per_unit = period / limit

local booked = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), at)
local after = booked + units * per_unit
local wait = after - period - at
if wait > 1e-6 then
  return {math.ceil(wait * 1000), math.floor((period - (booked - at)) / per_unit + 1e-6),
          math.ceil((booked - at) * 1000)}
end
redis.call('SET', KEYS[1], string.format('%.6f', after), 'PX', math.ceil((after - at) * 1000) + 1)
return {0, math.floor((period - (after - at)) / per_unit + 1e-6), math.ceil((after - at) * 1000)}

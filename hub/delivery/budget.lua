-- Charges several limits of one account at once: all of them, or none.
--
-- KEYS[i]  a hash per limit: s:<n> units spent in slot n · cap, used, since, seen (what the vendor last said, and our
--          units since) · blocked (until when) · factor, lowered (how far we slowed down, and when) · seeded
-- ARGV     now (seconds) · is_urgent (0 or 1) · then per limit: units, capacity, period_s, slots, share, reserve, is_day,
--          is_dry, granted (units that the tenant grants us, or -1 for our share of the capacity)
-- Returns  {0} when charged · {milliseconds to wait, index of the limit} · {-1, index} when a day's counter is not there
--          and has to be rebuilt from the database first.

local now = tonumber(ARGV[1])
local is_urgent = ARGV[2] == '1'
local FIELDS = 9
local STALE_S = 900
local charges = {}

for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * FIELDS
  local units, capacity = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local period, slots = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local share, reserve = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local is_day, is_dry = ARGV[at + 7] == '1', ARGV[at + 8] == '1'
  local granted = tonumber(ARGV[at + 9])
  local length = period / slots
  local current = math.floor(now / length)
  local state, spent, total = {}, {}, 0
  local all = redis.call('HGETALL', key)
  for j = 1, #all, 2 do
    local slot = string.match(all[j], '^s:(%d+)$')
    if slot then
      slot = tonumber(slot)
      if slot < current - slots then
        redis.call('HDEL', key, all[j])
      else
        local count = tonumber(all[j + 1])
        spent[#spent + 1] = {slot, count}
        total = total + count
      end
    else
      state[all[j]] = tonumber(all[j + 1])
    end
  end
  if is_day and not state.seeded then
    return {-1, i}
  end
  if state.blocked and state.blocked > now then
    return {math.ceil((state.blocked - now) * 1000), i}
  end
  local factor = 1
  if state.factor then
    local clean = math.floor((now - state.lowered) / math.max(period, 10))
    factor = math.min(1, state.factor + 0.1 * clean)
  end
  local whole = state.cap or capacity
  local ours = granted >= 0 and math.min(granted, whole) or whole * share
  -- Rounding leaves one unit, but a grant of nothing is nothing.
  local least = granted == 0 and 0 or 1
  ours = math.max(least, math.floor(ours * factor))
  if not is_urgent then
    ours = math.max(least, math.floor(ours * (1 - reserve)))
  end
  if is_dry then
    -- A batch of several calls is charged call by call: ask for no more than there can ever be.
    units = math.min(units, math.max(1, ours))
  end
  if total + units > ours then
    table.sort(spent, function(a, b) return a[1] < b[1] end)
    local freed, wait = 0, period
    for _, entry in ipairs(spent) do
      freed = freed + entry[2]
      if total - freed + units <= ours then
        wait = (entry[1] + slots + 1) * length - now
        break
      end
    end
    return {math.max(1, math.ceil(wait * 1000)), i}
  end
  if state.used and state.cap and now - state.seen < math.min(period, STALE_S) then
    if state.used + (state.since or 0) + units > state.cap then
      local wait = math.min(period, STALE_S) - (now - state.seen)
      return {math.max(1, math.ceil(wait * 1000)), i}
    end
  end
  if not is_dry then
    charges[#charges + 1] = {key, 's:' .. current, units, math.ceil((period + length) * 1000)}
  end
end

for _, charge in ipairs(charges) do
  redis.call('HINCRBY', charge[1], charge[2], charge[3])
  redis.call('HINCRBY', charge[1], 'since', charge[3])
  local left = redis.call('PTTL', charge[1])
  if left < charge[4] then
    redis.call('PEXPIRE', charge[1], charge[4])
  end
end
return {0}

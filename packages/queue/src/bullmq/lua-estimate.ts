/** The arithmetic of estimate.ts in @inferry/scheduling; a test holds the two together. */
export const estimating = `
local function serviceMs(p, rows)
  local points = p.points
  local belowRows, belowMs = points[1], points[2]
  if not belowRows then return 0 end
  for i = 1, #points, 2 do
    local atRows, atMs = points[i], points[i + 1]
    if atRows >= rows then
      if atRows == rows or atRows == belowRows then return atMs end
      return belowMs + (rows - belowRows) / (atRows - belowRows) * (atMs - belowMs)
    end
    belowRows, belowMs = atRows, atMs
  end
  return belowMs * rows / belowRows
end

-- One entry a slot of a live worker, in the order of their names.
local function liveServers()
  local flat, workers, servers = C('HGETALL', P..'x:serve'), {}, {}
  for i = 1, #flat, 2 do
    local p = cmsgpack.unpack(flat[i + 1])
    if p.till > nowMs then workers[#workers + 1] = {flat[i], p} end
  end
  table.sort(workers, function(a, b) return a[1] < b[1] end)
  for _, worker in ipairs(workers) do
    for _, at in ipairs(worker[2].free) do
      servers[#servers + 1] = {worker = worker[1], free = math.max(0, at - nowUs / 1000), p = worker[2]}
    end
  end
  return servers
end

local function readyByList(rowsAhead, rows, servers, everyMs)
  local free, ahead = {}, rowsAhead
  for i, server in ipairs(servers) do free[i] = server.free end
  while true do
    local k = 1
    for i = 2, #free do if free[i] < free[k] then k = i end end
    local p, start = servers[k].p, free[k]
    if ahead > 0 and ahead + rows > p.rows then
      local taken = math.min(ahead, p.rows)
      ahead = ahead - taken
      free[k] = start + serviceMs(p, taken)
    else
      local own, joined, run = ahead + rows, 0, 0
      if start > 0 and everyMs > 0 then joined = math.ceil(own + start / everyMs) end
      -- Of those that may be first, the one that takes longest.
      for i, server in ipairs(servers) do
        local q = server.p
        local close = start > 0 and 0.25 * math.max(0, (q.tail - 1) * serviceMs(q, q.rows)) or 0
        if free[i] <= start + close then
          run = math.max(run, q.tail * serviceMs(q, math.max(own, math.min(q.rows, joined))))
        end
      end
      return start + run
    end
  end
end

local function readyByFluid(rowsAhead, servers)
  local rate, owed, run, tailRun = 0, 0, 0, 0
  for _, server in ipairs(servers) do
    local p = server.p
    local runMs = math.max(serviceMs(p, p.rows), 0.001)
    local own = p.rows / runMs
    rate, owed = rate + own, owed + own * server.free
    run, tailRun = run + own * runMs, tailRun + own * p.tail * runMs
  end
  return (rowsAhead + owed) / rate + (0.5 * run + tailRun) / rate
end

-- Expected time until the answer and longest time until the start, ms; nil without servers.
local function estimate(rowsAhead, rows, servers)
  if #servers == 0 then return nil end
  local together, slowest = 0, 0
  for _, server in ipairs(servers) do
    together = together + server.p.rows
    slowest = math.max(slowest, server.p.tail * serviceMs(server.p, server.p.rows))
  end
  local ready
  if #servers <= 32 and rowsAhead < 2 * together then
    ready = readyByList(rowsAhead, rows, servers, stat('every') / 1000)
  else
    ready = readyByFluid(rowsAhead, servers)
  end
  return ready, math.ceil((rowsAhead + rows) / together) * slowest
end

-- Rows of the first \`ahead\` of the waiting jobs: those of all, or a share of them.
local function rowsOfFirst(ahead, waiting)
  if ahead == waiting then return stat('rows') end
  return math.floor(ahead * stat('rows') / waiting + 0.5)
end

-- Rows of other flows that will come in that time and go before a job with so many of its own flow before it.
local function rowsToCome(flow, ownRows, readyMs)
  local every, ownEvery = stat('every'), stat('e:'..flow)
  if every <= 0 or ownEvery <= every then return 0 end
  local arriving = (1 / (every / 1000) - 1 / (ownEvery / 1000)) * readyMs
  return math.floor(math.min(ownRows, arriving + 1.65 * math.sqrt(arriving)) + 0.5)
end

local function us(ms) return math.floor(ms * 1000 + 0.5) end

-- What one row takes of the time of all servers (us), and the rows of a batch.
local function pace(servers)
  local rate, together = 0, 0
  for _, server in ipairs(servers) do
    rate = rate + server.p.rows / math.max(serviceMs(server.p, server.p.rows), 0.001)
    together = together + server.p.rows
  end
  return us(1 / rate), math.ceil(together / #servers)
end
`;

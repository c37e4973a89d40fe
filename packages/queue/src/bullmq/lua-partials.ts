/**
 * The Lua scripts of partial outputs. KEYS[1] is the prefix of a class; the keys and fields they use are listed
 * in lua-parts.ts. A part has the id `<epoch>-<number>` in its stream, and says how many bytes all of its epoch
 * have up to it.
 */
import { evenWhenFull, posting, prelude } from './lua-parts.ts';

/**
 * ARGV id, fence, number, part, parts of a job at most, their bytes at most, channel
 * ->   1 kept, now or by an earlier try of the same call · 0 not ours · 2 too many · 3 too many bytes
 *
 * The first write is one that a Redis at its memory limit refuses.
 */
export const emitScript = `${prelude}${posting}
local id, number, body = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local f = C('HMGET', P..id, 'xf', 'yf', 'ye', 'yn', 'yb', 'yg', 'xd', 'xm')
if f[1] ~= ARGV[2] then return 0 end
local isFirst = f[2] ~= f[1]
local epoch, told, bytes = tonumber(f[3] or 0), tonumber(f[4] or 0), tonumber(f[5] or 0)
if isFirst then epoch, told, bytes = epoch + 1, 0, 0 end
if number <= told then return 1 end
if number > tonumber(ARGV[5]) then return 2 end
bytes = bytes + #body
if bytes > tonumber(ARGV[6]) then return 3 end
local stream = P..'x:part:'..id
C('HSET', P..id, 'yf', f[1], 'ye', epoch, 'yn', number, 'yb', bytes)
if isFirst then C('UNLINK', stream) end
C('XADD', stream, int(epoch)..'-'..int(number), 'bytes', int(bytes), 'body', body)
C('PEXPIRE', stream, math.max(0, tonumber(f[7]) - nowMs) + tonumber(f[8]))
if f[6] then tell(f[6], id) end
flush(ARGV[7])
return 1
`;

/**
 * ARGV id, epoch and number that the reader stands behind, gateway that follows the job, parts at most, bytes after
 *      which there are no more
 * ->   {state: 1 queued · 2 running · 3 ended · 0 nothing is left, attempt, epoch, last number, 1 when the reader's
 *       place is void, {id, {'bytes', bytes, 'body', part}}, ...}
 */
export const readPartialsScript = `${prelude}
local id, stream = ARGV[1], P..'x:part:'..ARGV[1]
local state, attempt, epoch, last = 0, 0, 0, 0
local f = C('HMGET', P..id, 'xs', 'ats', 'ye', 'yn', 'yg')
if f[1] then
  state = C('ZSCORE', P..'prioritized', id) and 1 or 2
  attempt, epoch, last = tonumber(f[2] or 0), tonumber(f[3] or 0), tonumber(f[4] or 0)
  if not string.find(f[5] or '', ',' .. ARGV[4], 1, true) then
    ${evenWhenFull}
    C('HSET', P..id, 'yg', (f[5] or '') .. ',' .. ARGV[4])
  end
else
  if C('EXISTS', P..'x:res:'..id) == 1 then state = 3 end
  local newest = C('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  if newest then
    local e, n = string.match(newest[1], '^(%d+)-(%d+)$')
    epoch, last = tonumber(e), tonumber(n)
  end
end
local from, isVoid = tonumber(ARGV[3]), 0
if tonumber(ARGV[2]) ~= epoch or from > last then
  isVoid = from > 0 and 1 or 0
  from = 0
end
local out = {state, attempt, epoch, last, isVoid}
local bytes = 0
if last > from then
  for _, entry in ipairs(C('XRANGE', stream, int(epoch)..'-'..int(from + 1), '+', 'COUNT', ARGV[5])) do
    if bytes >= tonumber(ARGV[6]) then break end
    out[#out + 1] = entry
    bytes = bytes + #entry[2][4]
  end
end
return out
`;

-- A wrk script: sixteen requests at a time on each connection; the next ones when all are answered.

local DEPTH = 16
local burst

function init(args)
  local one = wrk.format(nil, wrk.path)
  local all = {}
  for i = 1, DEPTH do
    all[i] = one
  end
  burst = table.concat(all)
end

function request()
  return burst
end

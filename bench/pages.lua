-- A wrk script: ask for a random one of the sample site's 500 pages, each as often as any other.
-- Every thread draws from a seed of its own that is the same in each run.

local PAGES = 500
local threads = 0
local requests = {}

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  math.randomseed(1000 + number)
  for page = 0, PAGES - 1 do
    requests[page] = wrk.format(nil, "/" .. page .. ".htm")
  end
end

function request()
  return requests[math.random(0, PAGES - 1)]
end

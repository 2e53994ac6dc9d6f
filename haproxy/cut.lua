-- Cuts the open requests of servers that HAProxy holds for down, so that they are repeated on another server now and
-- not after `timeout server`: what a frozen node holds would wait for it otherwise.
--
-- `on-marked-down shutdown-sessions` would do this at the very moment of going down, and then also hits requests that
-- are just being connected: those are not repeated, the client's connection is closed without an answer (seen once in
-- ten restarts of an nginx under load; log: termination state D, no connect time). A little later there are none: a
-- server that is down is given no new ones. So this looks ten times a second, and cuts what it saw down twice.
--
-- Not for the backend `writes`: a write cannot be repeated, and a master that is thawed in time still answers.

local period_ms = 100
local backends = { "reads", "reads_stale", "any" }

local function cut_requests_of_down_servers()
    local was_down = {}
    while true do
        core.msleep(period_ms)
        for _, name in ipairs(backends) do
            local backend = core.backends[name]
            if backend then
                for _, server in pairs(backend.servers) do
                    local stats = server:get_stats()
                    local is_down = stats.status:sub(1, 4) == "DOWN"
                    local id = name .. "/" .. stats.svname
                    -- A server that went down now and then between two looks is seen again.
                    if is_down and was_down[id] and stats.scur > 0 then
                        server:shut_sess()
                    end
                    was_down[id] = is_down
                end
            end
        end
    end
end

core.register_task(cut_requests_of_down_servers)

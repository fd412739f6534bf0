-- Takes orders: where the player stands, the weather, the light. Orders are lines "NUMBER NAME VALUES" that are
-- appended to a file in the world's folder; each is done once, in order, and then told to the client mod.
--
-- Words in @ signs are put in by minetest_files.py. Minetest's API document describes the calls.

local ORDERS = minetest.get_worldpath() .. "/orders.txt"
local REACH, HAND = @REACH@, @HAND@
local LIGHTS = {@LIGHTS@}
local SKIES = {
    clear = {density = 0.35, cloud = "#fff0f0e5"},
    cloudy = {density = 0.85, cloud = "#d8d8dcf0", day = {"#8f9aa6", "#b4bcc4"}},
    rain = {density = 1.0, cloud = "#8c9096f5", day = {"#5f6b78", "#7d8893"}},
    snow = {density = 1.0, cloud = "#e4e8eef5", day = {"#aab3bd", "#ccd2d8"}},
    fog = {plain = {150, 158, 164}},
}
local DROP = "blank.png^[noalpha^[colorize:#a8c8ff:255"
local FLAKE = "blank.png^[noalpha^[colorize:#ffffff:255"
local BRIGHTNESS = {noon = 1.0, dawn = 0.55, dusk = 0.55, night = 0.12}

local channel = minetest.mod_channel_join("paracosm")
local read_to, player, spawner = 0, nil, nil
local now = {weather = "clear", light = "noon"}

local function tell(order, name, value)
    channel:send_all(order .. " " .. name .. " " .. tostring(value))
end

local function fall(texture, speed, size, sway)
    return minetest.add_particlespawner({
        amount = @DROPS@,
        time = 0,
        attached = player,
        playername = player:get_player_name(),
        minpos = {x = -9, y = 5, z = -9},
        maxpos = {x = 9, y = 11, z = 9},
        minvel = {x = -sway, y = -speed * 1.15, z = -sway},
        maxvel = {x = sway, y = -speed * 0.85, z = sway},
        minexptime = 8 / speed,
        maxexptime = 14 / speed,
        minsize = size,
        maxsize = size * 1.6,
        collisiondetection = true,
        collision_removal = true,
        texture = texture,
    })
end

local function show_sky()
    local sky = SKIES[now.weather]
    minetest.set_timeofday(LIGHTS[now.light])
    if spawner then
        minetest.delete_particlespawner(spawner)
        spawner = nil
    end
    if sky.plain then
        local share, colour = BRIGHTNESS[now.light], {}
        for index, value in ipairs(sky.plain) do
            colour[index] = math.floor(value * share)
        end
        player:set_sky({
            type = "plain",
            base_color = {r = colour[1], g = colour[2], b = colour[3], a = 255},
            clouds = false,
        })
        return
    end
    player:set_sky()
    if sky.day then
        player:set_sky({type = "regular", clouds = true, sky_color = {
            day_sky = sky.day[1], day_horizon = sky.day[2],
            dawn_sky = sky.day[1], dawn_horizon = sky.day[2],
            night_sky = "#20262c", night_horizon = "#2c343c",
        }})
    end
    player:set_clouds({density = sky.density, color = sky.cloud, height = 90})
    if now.weather == "rain" then
        spawner = fall(DROP, 14, 0.5, 0)
    elseif now.weather == "snow" then
        spawner = fall(FLAKE, 2.5, 0.5, 0.6)
    end
end

local function biome_at(pos)
    local data = minetest.get_biome_data(pos)
    return data and minetest.get_biome_name(data.biome) or "unknown"
end

local function stand(order, x, z, yaw, y)
    local pos = {x = x, y = y, z = z}
    for _ = 1, 24 do
        local feet = minetest.get_node(pos).name
        local head = minetest.get_node({x = x, y = pos.y + 1, z = z}).name
        if feet == "air" and head == "air" then
            break
        end
        pos.y = pos.y + 1
    end
    player:add_velocity(vector.multiply(player:get_velocity(), -1))
    player:set_pos({x = x, y = pos.y, z = z})
    player:set_look_horizontal(math.rad(-yaw))
    player:set_look_vertical(0)
    tell(order, "biome", biome_at(pos))
    tell(order, "place", "stands")
end

local DO = {}

function DO.place(order, x, z, yaw)
    x, z, yaw = tonumber(x), tonumber(z), tonumber(yaw)
    local y = minetest.get_spawn_level(x, z)
    if not y then
        tell(order, "place", "no_ground")
        return
    end
    local low = {x = x - REACH, y = y - 32, z = z - REACH}
    local high = {x = x + REACH, y = y + 32, z = z + REACH}
    minetest.emerge_area(low, high, function(_, _, left)
        if left == 0 then
            stand(order, x, z, yaw, y)
        end
    end)
end

function DO.weather(order, value)
    now.weather = value
    show_sky()
    tell(order, "weather", value)
end

function DO.light(order, value)
    now.light = value
    show_sky()
    tell(order, "light", value)
end

function DO.look(order, yaw)
    player:set_look_horizontal(math.rad(-tonumber(yaw)))
    tell(order, "look", yaw)
end

function DO.person(order, value)
    tell(order, "person", value)
end

minetest.register_on_joinplayer(function(joining)
    player = joining
    player:hud_set_flags({
        hotbar = false, healthbar = false, crosshair = false, breathbar = false, minimap = false,
        wielditem = HAND, basic_debug = false,
    })
    minetest.log("action", "PARACOSM_JOINED")
end)

local since_biome = 0
minetest.register_globalstep(function(dtime)
    if not player then
        return
    end
    since_biome = since_biome + dtime
    if since_biome > 0.5 then
        since_biome = 0
        tell(0, "biome", biome_at(player:get_pos()))
    end
    local file = io.open(ORDERS, "r")
    if not file then
        return
    end
    file:seek("set", read_to)
    for line in file:lines() do
        read_to = read_to + #line + 1
        local words = line:split(" ")
        DO[words[2]](words[1], words[3], words[4], words[5])
    end
    file:close()
end)

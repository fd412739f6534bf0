-- Tells which frame is drawn. Each time the game's clock has moved, this mod counts one frame, draws its number
-- as black and white blocks in the window's top left corner, and logs one line with what is true of that frame.
-- Both happen in one turn of the game's own loop, so the picture with a number is the picture of that line.
--
-- Words in @ signs are put in by minetest_files.py. Minetest's client API documents the calls.

local BLOCK, NUM_BITS, MODULUS, REACH = @BLOCK@, @NUM_BITS@, @MODULUS@, @REACH@
local WHITE = "blank.png^[noalpha^[colorize:#ffffff:255"
local BLACK = "blank.png^[noalpha^[colorize:#000000:255"
local KEYS = {"up", "down", "left", "right", "jump", "sneak"}
local STILL = 0.005 -- seconds below which the clock was not moved by a step, but nudged or read a little off
local HEARTBEAT = 40 -- frames without a tick of the clock between two signs of life
local SETTLED = 8 -- frames that the player has stood somewhere before the view may change

local frame, quiet, blocks, shown, joined = 0, 0, {}, {}, false
local wanted_person, standing = nil, 0
local state = {order = 0, weather = "", light = "", biome = "", person = "", place = ""}

local function draw(index, white)
    if shown[index] == white then
        return
    end
    shown[index] = white
    local texture = white and WHITE or BLACK
    if blocks[index] then
        minetest.localplayer:hud_change(blocks[index], "text", texture)
    else
        blocks[index] = minetest.localplayer:hud_add({
            hud_elem_type = "image",
            position = {x = 0, y = 0},
            alignment = {x = 1, y = 1},
            offset = {x = index * BLOCK, y = 0},
            scale = {x = BLOCK, y = BLOCK},
            text = texture,
        })
    end
end

-- One white and one black block, the number with its highest bit first, and the sum of its digits to 16.
local function draw_number(number)
    draw(0, true)
    draw(1, false)
    local check, rest = 0, number
    while rest > 0 do
        check = check + rest % 16
        rest = math.floor(rest / 16)
    end
    for bit = 0, NUM_BITS - 1 do
        draw(2 + bit, math.floor(number / 2 ^ (NUM_BITS - 1 - bit)) % 2 == 1)
    end
    for bit = 0, 3 do
        draw(2 + NUM_BITS + bit, math.floor(check % 16 / 2 ^ (3 - bit)) % 2 == 1)
    end
end

local function flag(value)
    return value and "1" or "0"
end

-- How many places near the player the game has not been sent yet.
local function count_missing(feet)
    local missing = 0
    for x = -REACH, REACH, 16 do
        for z = -REACH, REACH, 16 do
            if x * x + z * z <= REACH * REACH then
                for y = -8, 8, 16 do
                    if not minetest.get_node_or_nil({x = feet.x + x, y = feet.y + y, z = feet.z + z}) then
                        missing = missing + 1
                    end
                end
            end
        end
    end
    return missing
end

local function keys_held()
    local control, held = minetest.localplayer:get_control(), {}
    for _, key in ipairs(KEYS) do
        if control[key] then
            held[#held + 1] = key
        end
    end
    return table.concat(held, "+")
end

-- What has reached the game between two frames that count.
local seen = ""
local function tell_seen()
    local camera = minetest.camera
    local now = string.format("keys=%s yaw=%.6f pitch=%.6f", keys_held(),
        math.deg(camera:get_look_horizontal()), math.deg(camera:get_look_vertical()))
    if now ~= seen then
        seen = now
        minetest.log("action", "PARACOSM_SEEN " .. now)
    end
end

local function tell(dtime)
    local player, camera = minetest.localplayer, minetest.camera
    -- The camera moves after this mod's turn: its place is that of the frame before, the player's is not.
    local eye, feet, speed, fov = camera:get_pos(), player:get_pos(), player:get_velocity(), camera:get_fov()
    local words = {"PARACOSM", "frame=" .. frame, "order=" .. state.order}
    local function number(name, value)
        words[#words + 1] = string.format("%s=%.6f", name, value)
    end
    number("clock", minetest.get_us_time() / 1e6)
    number("dtime", dtime)
    number("eye_x", eye.x)
    number("eye_y", eye.y)
    number("eye_z", eye.z)
    number("feet_x", feet.x)
    number("feet_y", feet.y)
    number("feet_z", feet.z)
    number("speed_x", speed.x)
    number("speed_y", speed.y)
    number("speed_z", speed.z)
    number("yaw", math.deg(camera:get_look_horizontal()))
    number("pitch", math.deg(camera:get_look_vertical()))
    number("fov_x", fov.x)
    number("fov_y", fov.y)
    number("time", minetest.get_timeofday())
    words[#words + 1] = "missing=" .. count_missing(feet)
    words[#words + 1] = "ground=" .. flag(player:is_touching_ground())
    words[#words + 1] = "liquid=" .. flag(player:is_in_liquid())
    words[#words + 1] = "mode=" .. camera:get_camera_mode()
    words[#words + 1] = "keys=" .. keys_held()
    for _, name in ipairs({"weather", "light", "biome", "person", "place"}) do
        words[#words + 1] = name .. "=" .. state[name]
    end
    minetest.log("action", table.concat(words, " "))
end

-- The view is the player's own object's, which comes a little after the player; asked for earlier, the game ends.
local function change_view()
    if state.place == "stands" then
        standing = standing + 1
    end
    if not wanted_person or standing < SETTLED then
        return
    end
    local mode = wanted_person == "third" and 1 or 0
    if minetest.camera:get_camera_mode() ~= mode then
        minetest.camera:set_camera_mode(mode)
    end
    state.person = wanted_person
end

minetest.register_globalstep(function(dtime)
    if not minetest.localplayer or not minetest.camera then
        return
    end
    if not joined then
        joined = true
        minetest.mod_channel_join("paracosm")
    end
    if dtime < STILL then
        tell_seen()
        quiet = quiet + 1
        if quiet % HEARTBEAT == 0 then
            -- A log that nobody reads ends the game: whoever captured it is gone.
            minetest.log("action", "PARACOSM_ALIVE")
        end
        return
    end
    frame = frame + 1
    draw_number(frame % MODULUS)
    change_view()
    tell(dtime)
end)

-- "ORDER NAME VALUE": what the server mod has just done.
minetest.register_on_modchannel_message(function(channel, sender, message)
    if channel ~= "paracosm" then
        return
    end
    local order, name, value = message:match("^(%d+) (%S+) (%S*)$")
    if not order then
        return
    end
    state.order = math.max(state.order, tonumber(order))
    if name == "person" then
        wanted_person = value
    else
        state[name] = value
    end
end)

-- Chat lines would be drawn over the picture.
minetest.register_on_receiving_chat_message(function()
    return true
end)

-- For Prosody 0.12 only: lets the newer mod_sasl2, mod_sasl2_bind2 and mod_sasl2_fast, as Debian 12 packages them, run on it.
-- They ask for things that came after 0.12; without them a TLS client of a host with mod_sasl2 gets no features at all.
-- mod_sasl2_sm needs more of mod_smacks than can be added from outside.

-- Timestamps: mod_sasl2_fast passes fractions of a second, which os.date refuses in Lua 5.4.
local datetime = require "util.datetime";
if not datetime.takes_fractions then
	local strict = datetime.datetime;
	datetime.takes_fractions = true;
	datetime.datetime = function (when, ...)
		return strict(when and math.floor(when), ...);
	end;
end

-- Stanzas: an attribute of a child in one call.
local stanza = require "util.stanza".stanza_mt;
stanza.get_child_attr = stanza.get_child_attr or function (self, name, xmlns, attr)
	local child = self:get_child(name, xmlns);
	if child then return child.attr[attr]; end
end;

-- Connections: what the TLS layer knows. A key exporter is left out on purpose: 0.12 offers SCRAM-PLUS with tls-unique only,
-- and with an exporter it would take a client that says "the server offers no channel binding" for a downgrade victim.
local function add_tls_getters(conn)
	local class = (getmetatable(conn) or {}).__index;
	if type(class) ~= "table" or class.ssl_info then return; end
	class.ssl_info = function (self)
		local socket = self:socket();
		if socket and socket.info then return socket:info(); end
	end;
	class.ssl_peerfinished = function (self)
		local socket = self:socket();
		if socket and socket.getpeerfinished then return socket:getpeerfinished(); end
	end;
end

-- Streams: mod_sasl2_fast reads whom the stream header was from, so every connection notes that down, from its first header on.
module:depends("c2s");
local sessions = module:shared("/*/c2s/sessions");
local listener = require "core.portmanager".get_service("c2s").listener;
if not listener.notes_from then
	local connected = listener.onconnect;
	listener.notes_from = true;
	listener.onconnect = function (conn)
		connected(conn);
		local session = sessions[conn];
		local open = session and session.open_stream;
		if not open then return; end
		session.open_stream = function (self, to, from)
			self.header_from = from;
			return open(self, to, from);
		end;
	end;
end

module:hook("stream-features", function (event)
	local session = event.origin;
	if session.conn then add_tls_getters(session.conn); end
	event.stream = event.stream or { from = session.header_from };
end, 1000);

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

-- Streams: mod_sasl2_fast reads whom the stream header was from, so the header that follows STARTTLS is noted down.
local function note_from(session)
	local open = session.open_stream;
	if session.notes_from or not open then return; end
	session.notes_from = true;
	session.open_stream = function (self, to, from)
		self.header_from = from;
		return open(self, to, from);
	end;
end

module:hook("stream-features", function (event)
	local session = event.origin;
	if session.conn then add_tls_getters(session.conn); end
	note_from(session);
	event.stream = event.stream or { from = session.header_from };
end, 1000);

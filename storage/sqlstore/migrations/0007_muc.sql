-- Rooms, XEP-0045: what was said, and who was there last.
CREATE TABLE xmpp_muc_rooms (
	account TEXT NOT NULL,
	room TEXT NOT NULL,
	next_number BIGINT NOT NULL, -- of the next message
	messages BIGINT NOT NULL,    -- how many there are
	last_us BIGINT,              -- when the last message to all was said; null if there was none
	PRIMARY KEY (account, room)
) CLUSTERED;

CREATE TABLE xmpp_muc_messages (
	account TEXT NOT NULL,
	room TEXT NOT NULL,
	number BIGINT NOT NULL,
	nick TEXT NOT NULL,
	real_jid TEXT NOT NULL,
	occupant_id TEXT NOT NULL,
	stanza_id TEXT NOT NULL,
	origin_id TEXT NOT NULL,
	id TEXT NOT NULL,
	time_us BIGINT NOT NULL, -- microseconds since 1970, UTC
	own BOOLEAN NOT NULL,
	private BOOLEAN NOT NULL,
	with_nick TEXT NOT NULL,
	body TEXT NOT NULL,
	xml TEXT NOT NULL,
	room_key BIGINT NOT NULL, -- a hash of account and room
	key1 BIGINT,              -- hashes of both and of what the same message is found by; null where there is none
	key2 BIGINT,
	key3 BIGINT,
	PRIMARY KEY (account, room, number)
);

CREATE INDEX xmpp_muc_messages_time ON xmpp_muc_messages (room_key, time_us, number);
CREATE INDEX xmpp_muc_messages_key1 ON xmpp_muc_messages (key1);
CREATE INDEX xmpp_muc_messages_key2 ON xmpp_muc_messages (key2);
CREATE INDEX xmpp_muc_messages_key3 ON xmpp_muc_messages (key3);

CREATE TABLE xmpp_muc_occupants (
	account TEXT NOT NULL,
	room TEXT NOT NULL,
	nick TEXT NOT NULL,
	role SMALLINT NOT NULL,        -- 0 unknown, 1 none, 2 visitor, 3 participant, 4 moderator
	affiliation SMALLINT NOT NULL, -- 0 unknown, 1 outcast, 2 none, 3 member, 4 admin, 5 owner
	real_jid TEXT NOT NULL,
	occupant_id TEXT NOT NULL,
	show_type SMALLINT NOT NULL,
	status TEXT NOT NULL,
	joined_us BIGINT NOT NULL,
	self BOOLEAN NOT NULL,
	PRIMARY KEY (account, room, nick)
) CLUSTERED;

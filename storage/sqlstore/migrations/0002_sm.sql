-- Sessions of stream management, XEP-0198.
CREATE TABLE xmpp_sm_sessions (
	account TEXT PRIMARY KEY,
	id TEXT NOT NULL,
	jid TEXT NOT NULL,
	location TEXT NOT NULL,
	max_ns BIGINT NOT NULL,
	handled BIGINT NOT NULL,
	acked BIGINT NOT NULL,
	updated_ns BIGINT NOT NULL,
	head BIGINT NOT NULL, -- the position of the first stanza that is not acknowledged
	tail BIGINT NOT NULL  -- and that of the next one to be sent
) CLUSTERED;

CREATE TABLE xmpp_sm_unacked (
	account TEXT NOT NULL,
	position BIGINT NOT NULL,
	xml TEXT NOT NULL,
	sent_ns BIGINT NOT NULL,
	PRIMARY KEY (account, position)
);

-- vCards that were fetched, XEP-0054.
CREATE TABLE xmpp_vcards (
	account TEXT NOT NULL,
	jid TEXT NOT NULL,
	card TEXT, -- null if it is known that there is none
	photo_hash TEXT NOT NULL,
	fetched_ns BIGINT NOT NULL,
	PRIMARY KEY (account, jid)
);

-- Contacts, RFC 6121 section 2.
CREATE TABLE xmpp_rosters (
	account TEXT PRIMARY KEY,
	version TEXT NOT NULL
) CLUSTERED;

CREATE TABLE xmpp_contacts (
	account TEXT NOT NULL,
	jid TEXT NOT NULL,
	name TEXT NOT NULL,
	subscription SMALLINT NOT NULL, -- 0 none, 1 to, 2 from, 3 both
	ask BOOLEAN NOT NULL,
	approved BOOLEAN NOT NULL,
	refused BOOLEAN NOT NULL,
	contact_groups TEXT NOT NULL, -- a JSON array, or empty
	avatar_hash TEXT NOT NULL,
	PRIMARY KEY (account, jid)
) CLUSTERED;

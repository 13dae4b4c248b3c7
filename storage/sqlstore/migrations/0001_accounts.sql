-- Every row of every table is keyed by the bare address of its account.
CREATE TABLE xmpp_accounts (
	account TEXT PRIMARY KEY,
	seq BIGINT NOT NULL -- of the last change; whoever changes something locks this row first
) CLUSTERED;

CREATE TABLE xmpp_changes (
	account TEXT NOT NULL,
	seq BIGINT NOT NULL,
	kind TEXT NOT NULL,
	key TEXT NOT NULL,
	op TEXT NOT NULL,
	PRIMARY KEY (account, seq)
) CLUSTERED;

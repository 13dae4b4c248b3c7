-- What is remembered of logins: the token of XEP-0484, the strongest mechanism, the id of XEP-0388.
CREATE TABLE xmpp_logins (
	account TEXT PRIMARY KEY,
	user_agent TEXT NOT NULL,
	strongest TEXT NOT NULL,
	token TEXT NOT NULL, -- a secret, as good as a password
	token_mechanism TEXT NOT NULL,
	token_expiry_ms BIGINT NOT NULL, -- since 1970, 0 if there is none; the year 9999 is too far for nanoseconds
	token_count BIGINT NOT NULL,     -- the greater half as negative numbers
	features TEXT NOT NULL
);

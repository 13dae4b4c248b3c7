-- Avatars, XEP-0153 and XEP-0084: who has which, and the images by their hash.
CREATE TABLE xmpp_avatars (
	account TEXT NOT NULL,
	jid TEXT NOT NULL,
	hash TEXT NOT NULL,
	source TEXT NOT NULL,
	url TEXT NOT NULL,
	size BIGINT NOT NULL,
	fetched BOOLEAN NOT NULL,
	updated_ns BIGINT NOT NULL,
	PRIMARY KEY (account, jid)
) CLUSTERED;

CREATE INDEX xmpp_avatars_hash ON xmpp_avatars (account, hash);

CREATE TABLE xmpp_avatar_images (
	account TEXT NOT NULL,
	hash TEXT NOT NULL,
	type TEXT NOT NULL,
	data BYTES NOT NULL,
	PRIMARY KEY (account, hash)
);

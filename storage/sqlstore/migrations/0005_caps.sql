-- Capabilities that were verified, XEP-0115 and XEP-0390.
CREATE TABLE xmpp_caps (
	account TEXT NOT NULL,
	ns TEXT NOT NULL,
	algo TEXT NOT NULL,
	hash TEXT NOT NULL,
	xml TEXT NOT NULL,
	used BIGINT NOT NULL, -- greater than that of all that were used before
	PRIMARY KEY (account, ns, algo, hash)
) CLUSTERED;

CREATE INDEX xmpp_caps_used ON xmpp_caps (account, used);

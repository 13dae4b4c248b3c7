package compat

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/sasl"
)

// row is a mechanism to log in with, in a way.
type row struct {
	name    string
	mech    func() sasl.Mechanism
	binding string
	tls12   bool
	domains []string // of which the best counts
	kind    credentialKind
}

type credentialKind uint8

const (
	password credentialKind = iota
	certificate
	oauthToken
	nobody // no account
)

var full = []string{integration.Full}

// mechanismRows are in the order of the page.
func mechanismRows() []row {
	rows := []row{{name: "PLAIN", mech: sasl.Plain, domains: full}}
	for _, hash := range []func() sasl.Mechanism{sasl.ScramSHA1, sasl.ScramSHA256, sasl.ScramSHA512} {
		rows = append(rows, row{name: hash().Name, mech: hash, domains: full})
	}
	for _, plus := range []func() sasl.Mechanism{sasl.ScramSHA1Plus, sasl.ScramSHA256Plus, sasl.ScramSHA512Plus} {
		for _, typ := range []string{sasl.TLSExporter, sasl.TLSUnique, sasl.TLSServerEndPoint} {
			name := plus().Name + ", " + typ
			if typ == sasl.TLSUnique {
				name += " (TLS 1.2)"
			}
			rows = append(rows, row{name: name, mech: plus, binding: typ, tls12: typ == sasl.TLSUnique, domains: full})
		}
	}
	return append(rows,
		row{name: "EXTERNAL", mech: sasl.External, domains: []string{integration.CertHost}, kind: certificate},
		row{name: "ANONYMOUS", mech: sasl.Anonymous, domains: []string{integration.Anon}, kind: nobody},
		row{name: "DIGEST-MD5", mech: sasl.DigestMD5, domains: full},
		row{name: "OAUTHBEARER", mech: sasl.OAuthBearer, domains: []string{integration.Full, integration.Hashed}, kind: oauthToken},
		row{name: "X-OAUTH2", mech: sasl.XOAuth2, domains: full, kind: oauthToken},
	)
}

// forced is a mechanism that ties the login to the connection by that type, whatever the server lists.
func forced(m sasl.Mechanism, binding string) sasl.Mechanism {
	return sasl.Mechanism{Name: m.Name, New: func(p sasl.Params) (sasl.Client, error) {
		p.BindingType = binding
		return m.New(p)
	}}
}

func secret(s string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(s), nil }
}

// credentials are those for one mechanism.
func (r row) credentials(s *site, jid xmpp.JID, pw string, m sasl.Mechanism) xmpp.Credentials {
	switch r.kind {
	case certificate:
		return xmpp.Certificate(s.cert(jid))
	case oauthToken:
		return xmpp.Mechanisms(secret(s.token(jid)), m)
	case nobody:
		return xmpp.Mechanisms(nil, m)
	}
	return xmpp.Mechanisms(secret(pw), m)
}

package compat

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/sasl"
)

// The rows of components.
const (
	rowComponent = "login with the secret (XEP-0114)"
	rowStrange   = "a name that the server was not told of"
	rowCompTLS   = "direct TLS"
	rowCompSASL  = "a login of clients: SASL, SASL2"
)

func componentRows() []string { return []string{rowComponent, rowStrange, rowCompTLS, rowCompSASL} }

// components tries what there is at the port for components.
func (s *site) components(ctx context.Context) map[string]string {
	out := map[string]string{}
	for _, r := range componentRows() {
		cfg, pw := s.component()
		cfg.Credentials = xmpp.Password(pw)
		switch r {
		case rowStrange:
			cfg.JID = xmpp.MustParseJID(s.strange)
		case rowCompTLS:
			cfg.DirectTLS = true
		case rowCompSASL:
			cfg.Component, cfg.TLSPolicy, cfg.Credentials = false, xmpp.InsecureTLSPreferred, xmpp.Mechanisms(secret(pw), sasl.ScramSHA1())
			cfg.JID = xmpp.MustParseJID("user@" + cfg.JID.Domain())
		}
		out[r] = loginOnce(ctx, cfg)
	}
	return out
}

func loginOnce(ctx context.Context, cfg xmpp.Config) string {
	ctx, cancel := context.WithTimeout(ctx, limit/4)
	defer cancel()
	s, err := xmpp.New(cfg)
	if err != nil {
		return reason(err)
	}
	defer shut(s)
	return reason(s.Login(ctx))
}

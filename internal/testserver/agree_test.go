package testserver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/sasl"
)

// params are those of a client that has read the features, and believes them.
func (c *client) params(user, secret, bindingType string) sasl.Params {
	p := sasl.Params{
		Credentials: sasl.Credentials{Username: user, Password: func(context.Context) ([]byte, error) { return []byte(secret), nil }},
		BindingType: bindingType, ServerOffersPlus: true, Domain: c.srv.domain.Domain(),
		Offer: &sasl.Offer{Mechanisms: mechanismNames(c.features), BindingTypes: bindingNames(c.features)},
	}
	if c.tls != nil {
		cs := c.tls.ConnectionState()
		p.Binding, p.Offer.TLSVersion = sasl.Bindings(&cs), cs.Version
	}
	return p
}

// attempt runs a mechanism under either profile and returns nil, what the client found wrong, or the server's failure.
func (c *client) attempt(two bool, m sasl.Mechanism, p sasl.Params, inline string) (*etree.Element, error) {
	c.t.Helper()
	ctx := c.t.Context()
	x, err := m.New(p)
	if err != nil {
		return nil, err
	}
	initial, err := x.Start(ctx)
	if err != nil {
		return nil, err
	}
	ns, text := nsSASL, encode(string(initial))
	switch {
	case two:
		ns = nsSASL2
		if initial != nil {
			text = "<initial-response>" + text + "</initial-response>"
		}
		c.write("<authenticate xmlns='" + ns + "' mechanism='" + m.Name + "'>" + text + "<user-agent id='" + testAgent + "'/>" + inline + "</authenticate>")
	case initial != nil && text == "":
		text = "="
		fallthrough
	default:
		c.write("<auth xmlns='" + ns + "' mechanism='" + m.Name + "'>" + text + "</auth>")
	}
	for {
		e := c.next()
		data := []byte(nil)
		if two && is(e, "success", ns) {
			data = additional(c.t, e)
		} else if text := e.Text(); text != "" {
			if data, err = base64.StdEncoding.DecodeString(text); err != nil {
				return e, err
			}
		}
		switch {
		case is(e, "challenge", ns):
			resp, err := x.Next(ctx, data)
			if err != nil {
				return e, err
			}
			c.write("<response xmlns='" + ns + "'>" + encode(string(resp)) + "</response>")
		case is(e, "success", ns):
			return e, x.Success(ctx, data)
		case is(e, "failure", ns):
			return e, errors.New(e.ChildElements()[0].Tag)
		default:
			return e, fmt.Errorf("unexpected %s", pretty(e))
		}
	}
}

// TestAgreement: the server and the mechanisms of package sasl, written apart, understand each other.
func TestAgreement(t *testing.T) {
	ca := NewAuthority()
	cert := ca.Issue(CertOptions{XMPPAddrs: []string{"juliet@example.test"}})
	for _, tt := range []struct {
		mech    sasl.Mechanism
		binding string
		secret  string
		wrong   string // what the server says of a wrong secret; empty: there is none
	}{
		{sasl.ScramSHA1(), "", "secret", "not-authorized"},
		{sasl.ScramSHA512Plus(), "tls-exporter", "secret", "not-authorized"},
		{sasl.ScramSHA256Plus(), "tls-server-end-point", "secret", "not-authorized"},
		{sasl.Plain(), "", "secret", "not-authorized"},
		{sasl.DigestMD5(), "", "secret", "not-authorized"},
		{sasl.OAuthBearer(), "", "t0ken", "not-authorized"},
		{sasl.XOAuth2(), "", "t0ken", "not-authorized"},
		{sasl.External(), "", "", ""},
	} {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.mech.Name, " ", tt.binding, " SASL2 ", two), func(t *testing.T) {
				o := Options{SASL2: true, ClientCAs: ca.Pool(), Login: LoginOptions{SignTLS: true}}
				if !strings.HasPrefix(tt.mech.Name, "SCRAM-") {
					o.Mechanisms = []string{tt.mech.Name}
				}
				srv := newServer(t, o)
				if err := srv.AddOAuthToken("juliet", "t0ken"); err != nil {
					t.Fatal(err)
				}
				c := secured(t, srv, &cert)
				if tt.wrong != "" {
					_, err := c.attempt(two, tt.mech, c.params("juliet", "wrong", tt.binding), "")
					if err == nil || !strings.Contains(err.Error(), tt.wrong) {
						t.Errorf("wrong secret: %v", err)
					}
				}
				if _, err := c.attempt(two, tt.mech, c.params("juliet", tt.secret, tt.binding), ""); err != nil {
					t.Error(err)
				}
			})
		}
	}
	for _, name := range []string{"HT-SHA-256-NONE", "HT-SHA-256-EXPR", "HT-SHA-256-ENDP"} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t, Options{SASL2: true})
			token := requestToken(t, srv, name)
			m, ok := sasl.HT(name)
			if !ok {
				t.Fatal("unknown")
			}
			c := secured(t, srv, nil)
			if _, err := c.attempt(true, m, c.params("juliet", token+"x", ""), "<fast xmlns='"+nsFAST+"'/>"); err == nil || err.Error() != "not-authorized" {
				t.Errorf("wrong token: %v", err)
			}
			if _, err := c.attempt(true, m, c.params("juliet", token, ""), "<fast xmlns='"+nsFAST+"'/>"); err != nil {
				t.Error(err)
			}
		})
	}
	for _, login := range []LoginOptions{
		{Stripped: []string{"SCRAM-SHA-512-PLUS"}}, {Stripped: []string{"tls-exporter"}}, {ClaimTLS: 0x0301},
	} {
		c := secured(t, newServer(t, Options{Login: login}), nil)
		if _, err := c.attempt(false, sasl.ScramSHA1(), c.params("juliet", "secret", ""), ""); !errors.Is(err, sasl.ErrDowngrade) {
			t.Errorf("%+v: got %v, want a downgrade", login, err)
		}
	}
}

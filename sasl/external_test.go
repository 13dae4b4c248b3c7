package sasl

import (
	"crypto/tls"
	"errors"
	"testing"
)

func TestExternal(t *testing.T) {
	for _, authzid := range []string{"", "juliet@example.org"} {
		c := newClient(t, External(), Params{Credentials: Credentials{Username: "ignored", Authzid: authzid}})
		got, err := c.Start(t.Context())
		if err != nil || got == nil || string(got) != authzid {
			t.Errorf("%q: got %q (nil %v), %v", authzid, got, got == nil, err)
		}
		if err := c.Success(t.Context(), nil); err != nil {
			t.Errorf("%q: success: %v", authzid, err)
		}
	}
	c := newClient(t, External(), Params{Credentials: Credentials{Authzid: "a\x00b"}})
	if _, err := c.Start(t.Context()); !errors.Is(err, ErrCredentials) {
		t.Errorf("NUL: got %v, want ErrCredentials", err)
	}
	if err := newClient(t, External(), Params{}).Success(t.Context(), nil); !errors.Is(err, ErrUnexpected) {
		t.Errorf("success before Start: got %v, want ErrUnexpected", err)
	}
	oneMessage(t, func() Client { return newClient(t, External(), Params{}) })

	mechs := append(Default(), External())
	got, err := Select(mechs, offer("EXTERNAL", "SCRAM-SHA-1-PLUS", "PLAIN"), Policy{AllowPlain: true})
	if want := "EXTERNAL SCRAM-SHA-1-PLUS/tls-exporter PLAIN"; err != nil || names(got) != want {
		t.Errorf("got %q, %v, want %q", names(got), err, want)
	}
	if got, err := Select(mechs, Offer{Mechanisms: []string{"EXTERNAL"}}, Policy{}); err == nil {
		t.Errorf("without TLS: got %q, want an error", names(got))
	}
}

func TestServerIdentity(t *testing.T) {
	all := append(Default(), External(), Anonymous(), OAuthBearer(), XOAuth2(), DigestMD5(), mustHT(t, "HT-SHA-256-NONE"))
	for _, m := range all {
		if want := m.Name == "EXTERNAL" || m.Name == "ANONYMOUS"; m.ServerIdentity != want {
			t.Errorf("%s: ServerIdentity %v, want %v", m.Name, m.ServerIdentity, want)
		}
	}
	// None but these is a default, and what shows a secret is nothing for a stream in clear text.
	for _, m := range Default() {
		switch m.Name {
		case "EXTERNAL", "ANONYMOUS", "OAUTHBEARER", "X-OAUTH2", "DIGEST-MD5":
			t.Errorf("%s is a default", m.Name)
		}
	}
	for _, m := range []Mechanism{External(), OAuthBearer(), XOAuth2(), Plain(), mustHT(t, "HT-SHA-256-NONE"), mustHT(t, "HT-SHA-512-EXPR")} {
		if !m.NeedsTLS {
			t.Errorf("%s: NeedsTLS is false", m.Name)
		}
		o := offer(m.Name)
		o.TLSVersion = 0
		if got, err := Select([]Mechanism{m}, o, Policy{AllowPlain: true, InsecureUnboundToken: true}); err == nil {
			t.Errorf("%s without TLS: got %q", m.Name, names(got))
		}
		o.TLSVersion = tls.VersionTLS13
		if _, err := Select([]Mechanism{m}, o, Policy{AllowPlain: true, InsecureUnboundToken: true}); err != nil {
			t.Errorf("%s with TLS: %v", m.Name, err)
		}
	}
}

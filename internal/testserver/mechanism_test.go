package testserver

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// secured connects and secures the stream, with a certificate of the client's if it is not nil.
func secured(t testing.TB, srv *Server, cert *tls.Certificate) *client {
	t.Helper()
	c := dial(t, srv)
	c.open()
	config := &tls.Config{}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	c.startTLS(config)
	c.open()
	return c
}

// sasl1 says what a client would and returns the condition of the failure, "" for success.
func (c *client) sasl1(mechanism, initial string, responses ...string) string {
	c.t.Helper()
	if initial == "" {
		initial = "="
	} else if initial != "-" {
		initial = encode(initial)
	}
	c.write("<auth xmlns='" + nsSASL + "' mechanism='" + mechanism + "'>" + strings.Trim(initial, "-") + "</auth>")
	for {
		e := c.next()
		switch {
		case is(e, "success", nsSASL):
			return ""
		case is(e, "failure", nsSASL):
			return e.ChildElements()[0].Tag
		case len(responses) == 0:
			c.t.Fatalf("one challenge too many: %s", pretty(e))
		}
		c.write("<response xmlns='" + nsSASL + "'>" + encode(responses[0]) + "</response>")
		responses = responses[1:]
	}
}

func TestExternal(t *testing.T) {
	ca := NewAuthority()
	other := NewAuthority()
	cert := func(a *Authority, addrs ...string) *tls.Certificate {
		c := a.Issue(CertOptions{XMPPAddrs: addrs})
		return &c
	}
	const juliet, romeo = "juliet@example.test", "romeo@example.test"
	for _, tt := range []struct {
		name    string
		cert    *tls.Certificate
		any     bool
		authzid string
		want    string // empty: success, none: EXTERNAL is not offered
	}{
		{"one name", cert(ca, juliet), false, "", ""},
		{"its name", cert(ca, juliet), false, juliet, ""},
		{"another's name", cert(ca, juliet), false, romeo, "not-authorized"},
		{"another's name, any", cert(ca, juliet), true, romeo, "not-authorized"},
		{"two names", cert(ca, juliet, romeo), false, "", "not-authorized"},
		{"one of two names", cert(ca, juliet, romeo), false, romeo, ""},
		{"no account", cert(ca, "nurse@example.test"), false, "", "not-authorized"},
		{"another domain", cert(ca, "juliet@example.org"), false, "", "not-authorized"},
		{"another domain's authzid", cert(ca, juliet), false, "juliet@example.org", "invalid-authzid"},
		{"no name", cert(ca), false, juliet, "not-authorized"},
		{"no name, any", cert(ca), true, juliet, ""},
		{"no name, any, none said", cert(ca), true, "", "not-authorized"},
		{"signed by somebody", cert(other, juliet), false, "", "none"},
		{"none", nil, false, "", "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, Options{ClientCAs: ca.Pool(), Login: LoginOptions{AnyCertificate: tt.any}})
			c := secured(t, srv, tt.cert)
			offered := slices.Contains(mechanismNames(c.features), "EXTERNAL")
			if offered != (tt.want != "none") {
				t.Fatalf("offered: %v", mechanismNames(c.features))
			}
			want := tt.want
			if want == "none" {
				want = "invalid-mechanism"
			}
			if got := c.sasl1("EXTERNAL", tt.authzid); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	t.Run("SASL2", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true, ClientCAs: ca.Pool()})
		c := secured(t, srv, cert(ca, juliet))
		c.write("<authenticate xmlns='" + nsSASL2 + "' mechanism='EXTERNAL'><initial-response/></authenticate>")
		c.want("<success xmlns='" + nsSASL2 + "'><authorization-identifier>juliet@example.test</authorization-identifier></success>")
	})
	t.Run("not asked for", func(t *testing.T) {
		c := secured(t, newServer(t, Options{}), cert(ca, juliet))
		if got := mechanismNames(c.features); slices.Contains(got, "EXTERNAL") {
			t.Errorf("offered: %v", got)
		}
	})
}

func TestXMPPAddrs(t *testing.T) {
	cert := NewAuthority().Issue(CertOptions{DNSNames: []string{"a.test"}, SRVNames: []string{"_x.a.test"}, XMPPAddrs: []string{"a@b", "ü@c"}})
	if got, want := xmppAddrs(cert.Leaf), []string{"a@b", "ü@c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := xmppAddrs(&x509.Certificate{}); got != nil {
		t.Errorf("without names: %q", got)
	}
}

func TestOAuth(t *testing.T) {
	srv := newServer(t, Options{Mechanisms: []string{"OAUTHBEARER", "X-OAUTH2"}})
	if err := srv.AddOAuthToken("juliet", "t0ken"); err != nil {
		t.Fatal(err)
	}
	if err := srv.AddOAuthToken("nobody", "x"); err == nil {
		t.Error("a token for nobody")
	}
	for _, tt := range []struct{ mechanism, initial, want string }{
		{"OAUTHBEARER", "n,a=juliet@example.test,\x01auth=Bearer t0ken\x01\x01", ""},
		{"OAUTHBEARER", "n,a=juliet@example.test,\x01host=example.test\x01port=5222\x01auth=bearer t0ken\x01\x01", ""},
		{"OAUTHBEARER", "n,,\x01auth=Bearer t0ken\x01\x01", ""},
		{"OAUTHBEARER", "n,a=romeo@example.test,\x01auth=Bearer t0ken\x01\x01", "invalid-authzid"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer wrong\x01\x01", "not-authorized"},
		{"OAUTHBEARER", "n,,\x01\x01", "not-authorized"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer t0ken", "malformed-request"},
		{"OAUTHBEARER", "junk", "malformed-request"},
		{"X-OAUTH2", "\x00juliet\x00t0ken", ""},
		{"X-OAUTH2", "\x00romeo\x00t0ken", "not-authorized"},
		{"X-OAUTH2", "\x00juliet\x00wrong", "not-authorized"},
		{"X-OAUTH2", "romeo@example.test\x00juliet\x00t0ken", "invalid-authzid"},
		{"X-OAUTH2", "junk", "malformed-request"},
	} {
		if got := secured(t, srv, nil).sasl1(tt.mechanism, tt.initial, "\x01"); got != tt.want {
			t.Errorf("%s %q: got %q, want %q", tt.mechanism, tt.initial, got, tt.want)
		}
	}
	c := secured(t, srv, nil)
	c.write("<auth xmlns='" + nsSASL + "' mechanism='OAUTHBEARER'>" + encode("n,,\x01auth=Bearer x\x01\x01") + "</auth>")
	v := c.want("<challenge xmlns='" + nsSASL + "'>{json}</challenge>")
	if got := string(decode(t, v["json"])); !strings.Contains(got, `"status":"invalid_token"`) {
		t.Errorf("got %s", got)
	}
	srv.RemoveOAuthToken("t0ken")
	if got := secured(t, srv, nil).sasl1("X-OAUTH2", "\x00juliet\x00t0ken"); got != "not-authorized" {
		t.Errorf("removed: %q", got)
	}
}

func TestDigestMD5(t *testing.T) {
	// RFC 2831 §4, where the protocol is IMAP.
	d := map[string]string{
		"username": "chris", "realm": "elwood.innosoft.com", "nonce": "OA6MG9tEQGm2hh", "nc": "00000001",
		"cnonce": "OA6MHXh6VqTrRk", "digest-uri": "imap/elwood.innosoft.com",
	}
	if got, want := digestOf("AUTHENTICATE", "secret", d), "d388dad90d4bbd760a152321f2143af7"; got != want {
		t.Errorf("response: got %s, want %s", got, want)
	}
	if got, want := digestOf("", "secret", d), "ea40f60335c427b5527b84dbabcdfffd"; got != want {
		t.Errorf("rspauth: got %s, want %s", got, want)
	}
	for _, noRealm := range []bool{false, true} {
		for _, tt := range []struct{ name, change, with, password, want string }{
			{"right", "", "", "secret", ""},
			{"password", "", "", "wrong", "not-authorized"},
			{"nonce", "nonce", "other", "secret", "not-authorized"},
			{"digest-uri", "digest-uri", "xmpp/example.org", "secret", "not-authorized"},
			{"count", "nc", "00000002", "secret", "not-authorized"},
			{"user", "username", "nobody", "secret", "not-authorized"},
			{"authzid", "authzid", "romeo@example.test", "secret", "invalid-authzid"},
			{"realm", "realm", "example.org", "secret", map[bool]string{false: "not-authorized"}[noRealm]},
			{"no cnonce", "cnonce", "", "secret", "malformed-request"},
		} {
			t.Run(fmt.Sprint(tt.name, noRealm), func(t *testing.T) {
				c := secured(t, newServer(t, Options{Mechanisms: []string{"DIGEST-MD5"}, Login: LoginOptions{NoRealm: noRealm}}), nil)
				c.write("<auth xmlns='" + nsSASL + "' mechanism='DIGEST-MD5'/>")
				challenge, ok := directives(string(decode(t, c.want("<challenge xmlns='" + nsSASL + "'>{data}</challenge>")["data"])))
				if _, has := challenge["realm"]; !ok || has == noRealm || challenge["qop"] != "auth" {
					t.Fatalf("challenge %q", challenge)
				}
				d := map[string]string{
					"username": "juliet", "realm": "example.test", "nonce": challenge["nonce"], "nc": "00000001",
					"cnonce": `a"b\c`, "digest-uri": "xmpp/example.test",
				}
				if tt.change != "" {
					d[tt.change] = tt.with
				}
				text := "response=" + digestOf("AUTHENTICATE", tt.password, d) + ",qop=auth,charset=utf-8"
				for name, value := range d {
					text += "," + name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
				}
				c.write("<response xmlns='" + nsSASL + "'>" + encode(text) + "</response>")
				if tt.want != "" {
					c.want("<failure xmlns='" + nsSASL + "'><" + tt.want + "/></failure>")
					return
				}
				c.want("<challenge xmlns='" + nsSASL + "'>" + encode("rspauth="+digestOf("", tt.password, d)) + "</challenge>")
				c.write("<response xmlns='" + nsSASL + "'/>")
				c.want("<success xmlns='" + nsSASL + "'/>")
			})
		}
	}
	for text, ok := range map[string]bool{"": true, `a=b, c="d"`: true, `a`: false, `a=b,a=c`: false, `a="b`: false, `="b"`: false} {
		if _, got := directives(text); got != ok {
			t.Errorf("%s: got %v, want %v", text, got, ok)
		}
	}
}

func TestOfferHash(t *testing.T) {
	// XEP-0474 §5
	got := offerHash(scramHashes["SCRAM-SHA-1"], []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}, []string{"tls-server-end-point", "tls-exporter"})
	if want := "G6k/rBLDqgOhRRaCuuatSDFkJ08="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := offerHash(scramHashes["SCRAM-SHA-1"], []string{"PLAIN"}, nil), "QenEuIOD/3D3KyQSC2nvFjZAUSM="; got != want {
		t.Errorf("without a list: got %s, want %s", got, want)
	}
	first := func(o Options, config *tls.Config) (*client, string) {
		c := dial(t, newServer(t, o))
		c.open()
		if o.TLS != TLSNone {
			c.startTLS(config)
			c.open()
		}
		c.write("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>" + encode("n,,n=juliet,r=abc") + "</auth>")
		data, err := base64.StdEncoding.DecodeString(c.want("<challenge xmlns='" + nsSASL + "'>{data}</challenge>")["data"])
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(data), ",i=4096")
		return c, rest
	}
	hash := func(c *client) string {
		return ",h=" + offerHash(scramHashes["SCRAM-SHA-1"], mechanismNames(c.features), bindingNames(c.features))
	}
	tls12 := &tls.Config{MaxVersion: tls.VersionTLS12}
	for _, tt := range []struct {
		name   string
		o      Options
		config *tls.Config
		same   bool // the hash is that of what the client sees
		more   string
	}{
		{"default", Options{}, nil, true, ""},
		{"TLS 1.2", Options{}, tls12, true, ""},
		{"no TLS", Options{TLS: TLSNone, Login: LoginOptions{SignTLS: true}}, nil, true, ""},
		{"no list", Options{BindingTypes: []string{}}, nil, true, ""},
		{"t", Options{Login: LoginOptions{SignTLS: true}}, nil, true, ",t=0304"},
		{"t, TLS 1.2", Options{Login: LoginOptions{SignTLS: true}}, tls12, true, ",t=0303"},
		{"t claimed", Options{Login: LoginOptions{ClaimTLS: tls.VersionTLS10}}, nil, true, ",t=0301"},
		{"stripped mechanism", Options{Login: LoginOptions{Stripped: []string{"SCRAM-SHA-512-PLUS"}}}, nil, false, ""},
		{"stripped binding", Options{Login: LoginOptions{Stripped: []string{"tls-exporter"}}}, nil, false, ""},
	} {
		c, got := first(tt.o, tt.config)
		want := hash(c)
		if same := strings.HasPrefix(got, want); same != tt.same || !strings.HasSuffix(got, tt.more) || tt.same && got != want+tt.more {
			t.Errorf("%s: got %q, what the client sees is %q", tt.name, got, want)
		}
	}
	if _, got := first(Options{Login: LoginOptions{NoOfferHash: true, SignTLS: true}}, nil); got != "" {
		t.Errorf("off: %q", got)
	}
	c, _ := first(Options{Login: LoginOptions{Stripped: []string{"tls-exporter", "PLAIN"}}}, nil)
	if got := mechanismNames(c.features); slices.Contains(got, "PLAIN") {
		t.Errorf("stripped: %v", got)
	}
	if got, want := bindingNames(c.features), []string{"tls-server-end-point"}; !slices.Equal(got, want) {
		t.Errorf("stripped: %v, want %v", got, want)
	}
}

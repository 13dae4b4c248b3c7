package xmpptest_test

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl"

// rawClient is a client of direct TLS that says what it is told to.
type rawClient struct {
	t   *testing.T
	c   *tls.Conn
	dec *xmlstream.Decoder
}

func dialRaw(t *testing.T, srv *xmpptest.Server, user string, certs ...tls.Certificate) *rawClient {
	t.Helper()
	config := srv.Config(user)
	conn, err := config.Dial(t.Context(), "tcp", config.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := tls.Client(conn, &tls.Config{ServerName: config.Host, RootCAs: config.RootCAs, NextProtos: []string{"xmpp-client"}, Certificates: certs})
	return &rawClient{t, c, xmlstream.NewDecoder(c, xmlstream.DefaultLimits())}
}

// open returns the features.
func (r *rawClient) open(from string) *etree.Element {
	r.t.Helper()
	r.write(string(xmlstream.AppendHeader(nil, xmlstream.Header{To: "example.test", From: from, Version: "1.0"})))
	if _, err := r.dec.Header(); err != nil {
		r.t.Fatal(err)
	}
	return r.next()
}

func (r *rawClient) write(xml string) {
	r.t.Helper()
	if _, err := io.WriteString(r.c, xml); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rawClient) next() *etree.Element {
	r.t.Helper()
	e, err := r.dec.Next()
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func names(e *etree.Element) []string {
	var out []string
	for _, c := range e.ChildElements() {
		out = append(out, c.Tag)
	}
	return out
}

func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

func TestWithSASL2(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithSASL2(), xmpptest.WithLogin(xmpptest.LoginRules{ConfigVersion: "1", NoSASL: true}))
	srv.AddAccount("juliet", "secret")
	srv.SetConfigVersion("2")
	r := dialRaw(t, srv, "juliet")
	f := r.open("juliet@example.test")
	if got := names(f); !slices.Contains(got, "authentication") || !slices.Contains(got, "config-version") || slices.Contains(got, "mechanisms") {
		t.Errorf("features %v", got)
	}
	r.write("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>" + plain("juliet", "secret") +
		"</initial-response><user-agent id='a'/><request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>" +
		"<bind xmlns='urn:xmpp:bind:0'><tag>T</tag></bind></authenticate>")
	if got, want := names(r.next()), []string{"authorization-identifier", "bound", "token"}; !slices.Equal(got, want) {
		t.Errorf("success: got %v, want %v", got, want)
	}
	if got := srv.Sessions("juliet"); len(got) != 1 || !strings.HasPrefix(got[0].Resource(), "T~") {
		t.Errorf("sessions %v", got)
	}
	if got := srv.Tokens("juliet"); got != 1 {
		t.Errorf("%d tokens, want 1", got)
	}
	srv.ExpireTokens("juliet")
	srv.RevokeTokens("juliet")
	if got := srv.Tokens("juliet"); got != 0 {
		t.Errorf("%d tokens, want none", got)
	}
}

func TestWithClientCertificates(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithClientCertificates(nil))
	srv.AddAccount("juliet", "secret")
	r := dialRaw(t, srv, "juliet", srv.ClientCertificate("juliet"))
	r.open("")
	r.write("<auth xmlns='" + nsSASL + "' mechanism='EXTERNAL'>=</auth>")
	if got := r.next().Tag; got != "success" {
		t.Errorf("got %s", got)
	}
}

func TestOAuthTokens(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithMechanisms("X-OAUTH2"))
	srv.AddOAuthToken("juliet", "t0ken")
	for _, want := range []string{"success", "failure"} {
		r := dialRaw(t, srv, "juliet")
		r.open("")
		r.write("<auth xmlns='" + nsSASL + "' mechanism='X-OAUTH2'>" + plain("juliet", "t0ken") + "</auth>")
		if got := r.next().Tag; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		srv.RemoveOAuthToken("t0ken")
	}
}

func TestWithTamper(t *testing.T) {
	var steps []xmpptest.Step
	srv := xmpptest.NewServer(t, xmpptest.WithCompression(),
		xmpptest.WithTamper(func(at xmpptest.Step, xml string) string {
			steps = append(steps, at)
			return strings.ReplaceAll(xml, "zlib", "lzw")
		}),
		xmpptest.WithSASLTamper(func(mechanism string, last bool, data string) string { return mechanism }))
	srv.AddAccount("juliet", "secret")
	r := dialRaw(t, srv, "juliet")
	r.open("")
	r.write("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + plain("juliet", "secret") + "</auth>")
	if e := r.next(); e.Tag != "success" || e.Text() != base64.StdEncoding.EncodeToString([]byte("PLAIN")) {
		t.Errorf("got %s %q", e.Tag, e.Text())
	}
	r.dec.Restart()
	if f := r.open(""); f.FindElement("./compression/method").Text() != "lzw" {
		t.Errorf("features %v", names(f))
	}
	want := []xmpptest.Step{xmpptest.StepSecureHeader, xmpptest.StepSecureFeatures, xmpptest.StepSuccess, xmpptest.StepSessionHeader, xmpptest.StepSessionFeatures}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
}

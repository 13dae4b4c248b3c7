package testserver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/sasl"
)

const testAgent = "d4565fa7-4d72-4749-b3d3-740edbf87770"

// sasl2Client connects to a server with SASL2, up to the features after TLS.
func sasl2Client(t testing.TB, srv *Server, user string) *client {
	t.Helper()
	c := dial(t, srv)
	c.open()
	c.startTLS(nil)
	c.openAs(user)
	return c
}

func headerAs(srv *Server, user string) string {
	h := xmlstream.Header{To: srv.domain.String(), ContentNS: nsClient, Version: "1.0"}
	if user != "" {
		h.From = user + "@" + srv.domain.String()
	}
	return string(xmlstream.AppendHeader(nil, h))
}

// openAs is open with a from.
func (c *client) openAs(user string) {
	c.t.Helper()
	if c.dec.Offset() > 0 {
		c.dec.Restart()
	}
	c.write(headerAs(c.srv, user))
	c.readFeatures()
}

func (c *client) readFeatures() {
	c.t.Helper()
	c.raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.dec.Header(); err != nil {
		c.t.Fatalf("header: %v", err)
	}
	if c.features = c.next(); !is(c.features, "features", nsStreams) {
		c.t.Fatalf("want features, got %s", pretty(c.features))
	}
}

// scramFor makes one attempt of SCRAM-SHA-256.
func scramFor(t testing.TB, m sasl.Mechanism, user, password string) sasl.Client {
	t.Helper()
	x, err := m.New(sasl.Params{ServerOffersPlus: true, Credentials: sasl.Credentials{
		Username: user,
		Password: func(context.Context) ([]byte, error) { return []byte(password), nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// auth2 runs one mechanism under SASL2 and returns the last word of the server: success, failure or continue.
// What the server has to prove is verified.
func (c *client) auth2(m sasl.Mechanism, user, password, inline string) (*etree.Element, error) {
	c.t.Helper()
	x := scramFor(c.t, m, user, password)
	initial, err := x.Start(c.t.Context())
	if err != nil {
		return nil, err
	}
	c.write(authenticate(m.Name, string(initial), inline))
	return c.finish2(x)
}

func authenticate(mechanism, initial, inline string) string {
	return "<authenticate xmlns='" + nsSASL2 + "' mechanism='" + mechanism + "'><initial-response>" + encode(initial) + "</initial-response>" +
		"<user-agent id='" + testAgent + "'><software>test</software></user-agent>" + inline + "</authenticate>"
}

func (c *client) finish2(x sasl.Client) (*etree.Element, error) {
	c.t.Helper()
	for {
		e := c.next()
		switch {
		case is(e, "challenge", nsSASL2):
			data, err := base64.StdEncoding.DecodeString(e.Text())
			if err != nil {
				return e, err
			}
			resp, err := x.Next(c.t.Context(), data)
			if err != nil {
				return e, err
			}
			c.write("<response xmlns='" + nsSASL2 + "'>" + encode(string(resp)) + "</response>")
		case is(e, "success", nsSASL2), is(e, "continue", nsSASL2):
			return e, x.Success(c.t.Context(), additional(c.t, e))
		case is(e, "failure", nsSASL2):
			return e, errors.New(e.ChildElements()[0].Tag)
		default:
			return e, fmt.Errorf("unexpected %s", pretty(e))
		}
	}
}

func additional(t testing.TB, e *etree.Element) []byte {
	t.Helper()
	d := child(e, "additional-data", nsSASL2)
	if d == nil {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(d.Text())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// login2 logs in with SCRAM-SHA-256, and fails the test if that fails.
func (c *client) login2(user, inline string) *etree.Element {
	c.t.Helper()
	e, err := c.auth2(sasl.ScramSHA256(), user, "secret", inline)
	if err != nil {
		c.t.Fatalf("SASL2: %v", err)
	}
	if !is(e, "success", nsSASL2) {
		c.t.Fatalf("want a success, got %s", pretty(e))
	}
	id := child(e, "authorization-identifier", nsSASL2)
	if id == nil {
		c.t.Fatalf("no authorization-identifier: %s", pretty(e))
	}
	c.jid = jid.MustParse(id.Text())
	return e
}

// wantFeatures reads the features that follow a success and returns the names in them.
func (c *client) wantFeatures() []string {
	c.t.Helper()
	c.features = c.next()
	if !is(c.features, "features", nsStreams) {
		c.t.Fatalf("want features, got %s", pretty(c.features))
	}
	return childNames(c.features)
}

func childNames(e *etree.Element) []string {
	var out []string
	for _, x := range e.ChildElements() {
		out = append(out, x.Tag)
	}
	slices.Sort(out)
	return out
}

// path goes down by names.
func path(e *etree.Element, names ...string) *etree.Element {
	for _, name := range names {
		if e == nil {
			return nil
		}
		local, ns, _ := strings.Cut(name, " ")
		e = child(e, local, ns)
	}
	return e
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

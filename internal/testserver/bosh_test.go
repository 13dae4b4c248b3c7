package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
)

var juliet = jid.MustParse("juliet@example.test")

// boshClient is a raw client of BOSH.
type boshClient struct {
	t    testing.TB
	srv  *Server
	http *http.Client
	rid  int
	sid  string
}

// send sends a body and returns the answer's.
func (c *boshClient) send(rid int, attrs, inner string) (*etree.Element, error) {
	body := fmt.Sprintf("<body xmlns='%s' rid='%d' %s>%s</body>", nsBOSH, rid, attrs, inner)
	if c.sid != "" {
		body = strings.Replace(body, " rid=", " sid='"+c.sid+"' rid=", 1)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", webURL(c.srv, BOSHPath), bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // nothing is repeated behind our back
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status)
	}
	return xmlstream.Parse(b, testLimits)
}

func (c *boshClient) post(attrs, inner string) *etree.Element {
	c.t.Helper()
	c.rid++
	e, err := c.send(c.rid, attrs, inner)
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

// later is post, without waiting.
func (c *boshClient) later(inner string) chan result {
	c.rid++
	rid, ch := c.rid, make(chan result, 1)
	go func() {
		e, err := c.send(rid, "", inner)
		ch <- result{e, err}
	}()
	synctest.Wait()
	return ch
}

func got(t testing.TB, ch chan result) *etree.Element {
	t.Helper()
	r := <-ch
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.e
}

const plainAuth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>"

// bosh begins a session and logs in.
func bosh(t testing.TB, srv *Server, attrs string) *boshClient {
	t.Helper()
	c := &boshClient{t: t, srv: srv, http: httpClient(t, srv, nil), rid: 4711}
	e := c.post("to='example.test' wait='60' hold='1' ver='1.11' xmpp:version='1.0' xmlns:xmpp='"+nsXBOSH+"' "+attrs, "")
	c.sid = attr(e, "sid")
	f := child(e, "features", nsStreams)
	if c.sid == "" || attr(e, "requests") != "2" || f == nil {
		t.Fatalf("got %s", pretty(e))
	}
	if got := strings.Join(bindingNames(f), " "); got != "tls-server-end-point" {
		t.Errorf("channel bindings: %s", got)
	}
	if e = c.post("", plainAuth); child(e, "success", nsSASL) == nil {
		t.Fatalf("got %s", pretty(e))
	}
	if e = c.post("xmpp:restart='true' to='example.test' xmlns:xmpp='"+nsXBOSH+"'", ""); child(e, "features", nsStreams) == nil {
		t.Fatalf("got %s", pretty(e))
	}
	if e = c.post("", "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='"+nsBind+"'><resource>bosh</resource></bind></iq>"); child(e, "iq", nsClient) == nil {
		t.Fatalf("got %s", pretty(e))
	}
	return c
}

func TestBOSHSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		romeo := online(t, srv, "romeo", "tcp")
		c := bosh(t, srv, "")
		c.post("", "<presence xmlns='jabber:client'/>")
		held := c.later("")
		romeo.write("<message to='juliet@example.test/bosh'><body>hi</body></message>")
		if e := got(t, held); child(e, "message", nsClient) == nil {
			t.Errorf("got %s", pretty(e))
		}
		// A second request sends the first one back empty.
		first := c.later("")
		second := c.later("<message xmlns='jabber:client' to='romeo@example.test/tcp'><body>you</body></message>")
		if e := got(t, first); len(e.ChildElements()) != 0 {
			t.Errorf("got %s", pretty(e))
		}
		romeo.want("<message from='juliet@example.test/bosh' to='romeo@example.test/tcp'><body>you</body></message>")
		// After a minute it is empty.
		if e := got(t, second); len(e.ChildElements()) != 0 || attr(e, "type") != "" {
			t.Errorf("got %s", pretty(e))
		}
		e := c.post("type='terminate'", "<presence xmlns='jabber:client' type='unavailable'/>")
		if attr(e, "type") != "terminate" || attr(e, "condition") != "" {
			t.Errorf("got %s", pretty(e))
		}
		synctest.Wait()
		if n := len(srv.Sessions(juliet)); n != 0 {
			t.Errorf("%d sessions after the end", n)
		}
	})
}

func TestBOSHOrder(t *testing.T) {
	message := func(n string) string {
		return "<message xmlns='jabber:client' to='romeo@example.test/tcp'><body>" + n + "</body></message>"
	}
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		romeo := online(t, srv, "romeo", "tcp")
		c := bosh(t, srv, "ack='1'")
		c.rid++
		second := c.later(message("2"))
		c.rid -= 2
		first := c.later(message("1"))
		c.rid++
		for _, n := range []string{"1", "2"} {
			romeo.want("<message from='*' to='romeo@example.test/tcp'><body>" + n + "</body></message>")
		}
		if e := got(t, first); attr(e, "ack") != fmt.Sprint(c.rid) {
			t.Errorf("the first answer: %s", pretty(e))
		}
		// The answer is asked for again, and so is one that has not come yet.
		if e, err := c.send(c.rid-1, "", message("1")); err != nil || attr(e, "ack") != fmt.Sprint(c.rid) {
			t.Errorf("again: %v, %v", e, err)
		}
		again := make(chan result, 1)
		go func() {
			e, err := c.send(c.rid, "", message("2"))
			again <- result{e, err}
		}()
		if r := <-second; r.err == nil {
			t.Errorf("the older request was answered: %s", pretty(r.e))
		}
		romeo.write("<message to='juliet@example.test/bosh'><body>hi</body></message>")
		if e := got(t, again); child(e, "message", nsClient) == nil {
			t.Errorf("got %s", pretty(e))
		}
		romeo.quiet() // nothing came twice
		if e, err := c.send(c.rid+4, "", ""); err != nil || attr(e, "condition") != "item-not-found" {
			t.Errorf("beyond the window: %v, %v", e, err)
		}
		if n := srv.BOSHSessions(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

func TestBOSHLosesAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		c := bosh(t, srv, "")
		srv.LoseAnswers(1)
		c.rid++
		ping := "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
		if e, err := c.send(c.rid, "", ping); err == nil {
			t.Fatalf("got %s", pretty(e))
		}
		if e, err := c.send(c.rid, "", ping); err != nil || len(e.ChildElements()) != 1 {
			t.Errorf("again: %v, %v", e, err)
		}
	})
}

func TestBOSHFaults(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(srv *Server)
		want string // in the answer; empty: no answer
	}{
		"kill":  {func(srv *Server) { srv.Kill(juliet) }, ""},
		"error": {func(srv *Server) { srv.StreamError(juliet, StreamError{Condition: "conflict"}) }, "remote-stream-error"},
		"close": {func(srv *Server) { srv.CloseStream(juliet) }, "terminate"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, Options{})
				c := bosh(t, srv, "")
				held := c.later("")
				test.do(srv)
				r := <-held
				switch {
				case test.want == "" && r.err == nil:
					t.Errorf("got %s", pretty(r.e))
				case test.want != "" && (r.err != nil || !strings.Contains(pretty(r.e), test.want) || attr(r.e, "type") != "terminate"):
					t.Errorf("got %v, %v", r.e, r.err)
				}
				if e := c.post("", ""); attr(e, "condition") != "item-not-found" {
					t.Errorf("then %s", pretty(e))
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // nobody asks any more
		srv := newServer(t, Options{Web: WebOptions{Inactivity: 10 * time.Second}})
		bosh(t, srv, "")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := len(srv.Sessions(juliet)) + srv.BOSHSessions(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		c := bosh(t, srv, "")
		held := c.later("")
		srv.Freeze(juliet, true)
		time.Sleep(2 * time.Minute)
		select {
		case r := <-held:
			t.Errorf("a frozen session answers %v, %v", r.e, r.err)
		default:
		}
		srv.Freeze(juliet, false)
		got(t, held)
	})
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		c := &boshClient{t: t, srv: srv, http: httpClient(t, srv, nil), rid: 1}
		if e := c.post("to='other.test' wait='60' hold='1'", ""); attr(e, "condition") != "remote-stream-error" {
			t.Errorf("another host: %s", pretty(e))
		}
		c.sid = "none"
		if e := c.post("", ""); attr(e, "condition") != "item-not-found" {
			t.Errorf("no session: %s", pretty(e))
		}
	})
}

func TestWebListens(t *testing.T) {
	srv := newServer(t, Options{TLS: TLSNone})
	addr, err := srv.ListenWeb()
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post("http://"+addr.String()+BOSHPath, "text/xml", strings.NewReader("<body xmlns='"+nsBOSH+"' rid='1' to='example.test' wait='1' hold='1' xmpp:version='1.0' xmlns:xmpp='"+nsXBOSH+"'/>"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil || !strings.Contains(string(b), "features") {
		t.Errorf("got %s, %v", b, err)
	}
}

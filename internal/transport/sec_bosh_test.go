package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// answers gives one answer after another; the last requests are held.
func answers(t testing.TB, list ...*http.Response) roundTripper {
	var n atomic.Int32
	return func(r *http.Request) (*http.Response, error) {
		_, _ = bodyOf(t, r)
		if i := int(n.Add(1)) - 1; i < len(list) {
			return list[i], nil
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
}

// endOf opens a session and reads until it ends.
func endOf(t testing.TB, f roundTripper, change ...func(*Web)) ([]string, error) {
	t.Helper()
	w := dialBOSH(t, f, change...)
	put(t, w, header(w))
	if _, err := w.Header(); err != nil {
		return nil, err
	}
	var got []string
	for {
		e, err := w.Next()
		if err != nil {
			if _, again := w.Next(); again != err {
				t.Errorf("first %v, then %v", err, again)
			}
			return got, err
		}
		got = append(got, text(t, e))
	}
}

func TestSec_XML21_Bodies(t *testing.T) {
	testkit.Goroutines(t)
	session := sessionStart + "/>"
	for name, c := range map[string]struct{ body, condition string }{
		"two roots":            {emptyBody + emptyBody, "not-well-formed"},
		"two roots with tags":  {bodyStart + "></body><body></body>", "not-well-formed"},
		"text after the root":  {bodyStart + "></body>x", "not-well-formed"},
		"comment after it":     {bodyStart + "></body><!-- -->", "not-well-formed"},
		"end of another":       {bodyStart + "></html>", "not-well-formed"},
		"no end":               {bodyStart + "><message/>", "not-well-formed"},
		"end in a value":       {bodyStart + "><a b='</body>", "not-well-formed"},
		"end in CDATA":         {bodyStart + "><a><![CDATA[</body>", "not-well-formed"},
		"child without end":    {bodyStart + "><message></body>", "not-well-formed"},
		"end of our own":       {bodyStart + "></stream:stream></body>", "not-well-formed"},
		"text":                 {bodyStart + ">text</body>", "bad-format"},
		"comment":              {bodyStart + "><!-- --><message/></body>", "restricted-xml"},
		"DTD":                  {"<!DOCTYPE body [<!ENTITY a 'b'>]>" + emptyBody, "restricted-xml"},
		"unbound prefix":       {bodyStart + "><q:message/></body>", "not-well-formed"},
		"another root":         {"<html xmlns='http://jabber.org/protocol/httpbind'/>", "invalid-namespace"},
		"another namespace":    {"<body/>", "invalid-namespace"},
		"nothing":              {"", "not-well-formed"},
		"a declaration":        {"<?xml version='1.0'?>", "not-well-formed"},
		"another encoding":     {"<?xml version='1.0' encoding='iso-8859-1'?>" + emptyBody, "unsupported-encoding"},
		"a large stanza":       {bodyStart + "><message>" + strings.Repeat("x", 70<<10) + "</message></body>", "policy-violation"},
		"a deep stanza":        {bodyStart + ">" + strings.Repeat("<a>", 101) + strings.Repeat("</a>", 101) + "</body>", "policy-violation"},
		"a large start tag":    {strings.Replace(bodyStart, " ", " a='"+strings.Repeat("x", 70<<10)+"' ", 1) + "/>", "policy-violation"},
		"a large body":         {bodyStart + ">" + strings.Repeat("<a/>", minBodyLimit/4) + "</body>", "policy-violation"},
		"an id that is not it": {bodyStart + "sid='other'><message/></body>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := endOf(t, answers(t, response(200, session), response(200, c.body)))
				if len(got) > 0 {
					t.Errorf("got %q", got)
				}
				var bad *xmlstream.Error
				switch {
				case c.condition == "" && !errors.Is(err, errSID):
					t.Errorf("got %v, want %v", err, errSID)
				case c.condition != "" && (!errors.As(err, &bad) || bad.Condition != c.condition):
					t.Errorf("got %v, want %s", err, c.condition)
				}
				if name == "nothing" || name == "two roots" { // the session's answer is looked at as well
					if _, err := endOf(t, answers(t, response(200, c.body))); !errors.As(err, &bad) {
						t.Errorf("as the first answer: %v", err)
					}
				}
			})
		})
	}
	t.Run("no id", func(t *testing.T) {
		if _, err := endOf(t, answers(t, response(200, emptyBody))); !errors.Is(err, errNoSID) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSec_XML21_Terminate(t *testing.T) {
	testkit.Goroutines(t)
	type want struct {
		condition, uri, stream, got string
		status                      int
	}
	streamError := "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
	for name, c := range map[string]struct {
		answer *http.Response
		want   want
	}{
		"politely":           {response(200, bodyStart+"type='terminate'><message/></body>"), want{got: "<message xmlns='jabber:client'/>"}},
		"condition":          {response(200, bodyStart+"type='terminate' condition='system-shutdown'/>"), want{condition: "system-shutdown"}},
		"hostile condition":  {response(200, bodyStart+"type='terminate' condition='&#10;x"+strings.Repeat("y", 9999)+"'/>"), want{condition: "\nx" + strings.Repeat("y", 9999)}},
		"other request":      {response(200, bodyStart+"type='terminate' condition='other-request'/>"), want{condition: "other-request"}},
		"stream error":       {response(200, bodyStart+"type='terminate' condition='remote-stream-error'><message/>"+streamError+"</body>"), want{condition: "remote-stream-error", stream: "conflict", got: "error"}},
		"elsewhere":          {response(200, bodyStart+"type='terminate' condition='see-other-uri'><uri>https://b.test/x</uri></body>"), want{condition: "see-other-uri", uri: "https://b.test/x"}},
		"elsewhere, unsafe":  {response(200, bodyStart+"type='terminate' condition='see-other-uri'><uri>http://b.test/x</uri></body>"), want{condition: "see-other-uri"}},
		"elsewhere, nowhere": {response(200, bodyStart+"type='terminate' condition='see-other-uri'><uri xmlns='urn:x'>https://b.test/</uri><uri>javascript:</uri></body>"), want{condition: "see-other-uri"}},
		"400":                {response(400, "<html>"), want{condition: "bad-request", status: 400}},
		"401":                {response(401, ""), want{condition: undefined, status: 401}},
		"403":                {response(403, ""), want{condition: "policy-violation", status: 403}},
		"404":                {response(404, emptyBody), want{condition: "item-not-found", status: 404}},
		"500":                {response(500, ""), want{condition: "internal-server-error", status: 500}},
		"204":                {response(204, ""), want{condition: undefined, status: 204}},
		"302":                {response(302, emptyBody), want{condition: undefined, status: 302}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := endOf(t, answers(t, response(200, sessionStart+"/>"), c.answer))
				if c.want.condition == "" {
					if err != io.EOF {
						t.Errorf("got %v, want io.EOF", err)
					}
				} else if e := (*BOSHError)(nil); !errors.As(err, &e) {
					t.Fatalf("got %v", err)
				} else {
					if e.Condition != c.want.condition || e.URI != c.want.uri || e.Status != c.want.status {
						t.Errorf("got %+v", e)
					}
					if (e.Stream != nil) != (c.want.stream != "") || e.Stream != nil && e.Stream.ChildElements()[0].Tag != c.want.stream {
						t.Errorf("stream error %v", e.Stream)
					}
					if s := e.Error(); len(s) > 200 || strings.Contains(s, "\n") || !strings.Contains(s, c.want.stream) {
						t.Errorf("text %q", s)
					}
				}
				if all := strings.Join(got, ""); !strings.Contains(all, c.want.got) || c.want.got == "" && all != "" {
					t.Errorf("elements %s", all)
				}
				if name == "204" || name == "politely" || name == "stream error" {
					_, err := endOf(t, answers(t, c.answer))
					if err == nil || err == io.EOF {
						t.Errorf("as the first answer: %v", err)
					}
				}
			})
		})
	}
}

// TestSec_XML21_Order: answers come in any order, their stanzas in that of the requests.
func TestSec_XML21_Order(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		m.faults = func(n uint64, _ int) fault {
			if n%2 == 1 {
				return lateAnswer
			}
			return fine
		}
		w := startBOSH(t, m)
		var want []string
		for i := range 50 {
			want = append(want, fmt.Sprintf(msg, i))
			put(t, w, want[i])
		}
		wantNext(t, w, want...)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.most > 2 {
			t.Errorf("%d requests at a time", m.most)
		}
	})
}

func TestSec_XML21_RequestIDs(t *testing.T) {
	seen := map[uint64]bool{}
	low := 0
	for range 1000 {
		id := firstRID()
		if id == 0 || id > 1<<52 || seen[id] {
			t.Fatalf("id %d", id)
		}
		if seen[id] = true; id < 1<<51 {
			low++
		}
	}
	if low < 400 || low > 600 {
		t.Errorf("%d of 1000 in the lower half", low)
	}
}

// TestSec_XML21_Bombs: neither compression nor length gets more into memory than the limit.
func TestSec_XML21_Bombs(t *testing.T) {
	testkit.Goroutines(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	for range 64 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	var asked atomic.Value
	var sent atomic.Int64
	mode := ""
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Get("Accept-Encoding"))
		switch mode {
		case "gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes())
		case "length":
			w.Header().Set("Content-Length", "10000000000")
			_, _ = io.WriteString(w, emptyBody)
		case "endless":
			for b := bytes.Repeat([]byte("<a/>"), 1<<14); ; {
				n, err := w.Write(b)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		}
	}))
	defer srv.Close()
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, own := range []bool{true, false} {
		for _, mode = range []string{"gzip", "length", "endless"} {
			web := Web{Meter: new(boshMeter), Client: srv.Client(), Header: http.Header{"Accept-Encoding": {"gzip"}}}
			if own {
				web.Client, web.TLS = nil, trusting(srv)
			}
			w, err := DialBOSH(t.Context(), web, srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			put(t, w, header(w))
			if _, err = w.Header(); err == nil || mode == "gzip" && !strings.Contains(err.Error(), "compressed") {
				t.Errorf("%s: %v", mode, err)
			}
			_ = w.Close()
			if got := asked.Load(); got != "identity" {
				t.Errorf("accepts %q", got)
			}
		}
	}
	srv.Client().CloseIdleConnections()
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

// trusting gives the TLS configuration for a test server.
func trusting(srv *httptest.Server) func(context.Context, string) (*tls.Config, error) {
	return func(context.Context, string) (*tls.Config, error) {
		return srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone(), nil
	}
}

// TestSec_XML21_Redirect: no other address is asked.
func TestSec_XML21_Redirect(t *testing.T) {
	testkit.Goroutines(t)
	var other atomic.Int32
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { other.Add(1) }))
	defer plain.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, own := range []bool{true, false} {
			srv := httptest.NewTLSServer(http.RedirectHandler(plain.URL, status))
			web := Web{Meter: new(boshMeter), Client: srv.Client()}
			if own {
				web.Client, web.TLS = nil, trusting(srv)
			}
			w, err := DialBOSH(t.Context(), web, srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			put(t, w, header(w))
			_, err = w.Header()
			if e := (*BOSHError)(nil); !errors.As(err, &e) || e.Status != status {
				t.Errorf("%d: %v", status, err)
			}
			_ = w.Close()
			srv.Close()
		}
	}
	if other.Load() != 0 {
		t.Error("the other server was asked")
	}
}

// TestSec_XML21_Certificate: a connection with another certificate than the first ends the session, although the certificate is good.
func TestSec_XML21_Certificate(t *testing.T) {
	testkit.Goroutines(t)
	ca := newRoot(t)
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if !bytes.Contains(b, []byte(" sid=")) {
			_, _ = io.WriteString(w, sessionStart+"/>")
			return
		}
		if bytes.Contains(b, []byte("<message")) {
			t.Error("a stanza went to another server")
		}
		<-r.Context().Done()
	}))
	srv.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		conns.Add(1)
		c := ca.leaf(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
		return &tls.Config{Certificates: []tls.Certificate{c}}, nil
	}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	w, err := DialBOSH(t.Context(), Web{Meter: new(boshMeter), TLS: func(context.Context, string) (*tls.Config, error) {
		return ClientTLS(&tls.Config{}, "127.0.0.1", "127.0.0.1", ca.pool(), false), nil
	}}, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	put(t, w, header(w))
	if _, err := w.Header(); err != nil {
		t.Fatal(err)
	}
	if cs, bound, ok := w.(Secured).ConnectionState(); !ok || bound || len(cs.PeerCertificates) == 0 {
		t.Errorf("state: %v, %v", bound, ok)
	}
	time.Sleep(50 * time.Millisecond) // the poll has the first connection
	put(t, w, "<message xmlns='jabber:client'/>")
	if _, err := w.Next(); err == nil || !strings.Contains(err.Error(), "another certificate") {
		t.Errorf("got %v", err)
	}
	if n := conns.Load(); n != 2 {
		t.Errorf("%d handshakes", n)
	}
}

// TestSec_XML21_Untrusted: a certificate that the configuration refuses ends the session at once.
func TestSec_XML21_Untrusted(t *testing.T) {
	testkit.Goroutines(t)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	for _, f := range []func(context.Context, string) (*tls.Config, error){
		nil,
		func(_ context.Context, host string) (*tls.Config, error) {
			return ClientTLS(nil, host, host, nil, false), nil
		},
		func(context.Context, string) (*tls.Config, error) { return nil, errors.New("no") },
	} {
		w, err := DialBOSH(t.Context(), Web{Meter: new(boshMeter), TLS: f, Dial: new(net.Dialer).DialContext}, srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		put(t, w, header(w))
		if _, err := w.Header(); err == nil || errors.As(err, new(*BOSHError)) {
			t.Errorf("got %v", err)
		}
		_ = w.Close()
	}
}

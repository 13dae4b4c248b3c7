package xmpp_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// logins is a LoginStorage that a test looks into.
type logins struct {
	mu      sync.Mutex
	records map[xmpp.JID]xmpp.LoginRecord
	loadErr error
	onSave  func(xmpp.LoginRecord) error // nil: it is stored
}

func (l *logins) LoadLogin(_ context.Context, account xmpp.JID) (xmpp.LoginRecord, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records[account], l.loadErr
}

func (l *logins) SaveLogin(_ context.Context, account xmpp.JID, r xmpp.LoginRecord) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.onSave != nil {
		if err := l.onSave(r); err != nil {
			return err
		}
	}
	if l.records == nil {
		l.records = map[xmpp.JID]xmpp.LoginRecord{}
	}
	l.records[account] = r
	return nil
}

// of is what is stored of an account.
func (l *logins) of(user string) xmpp.LoginRecord {
	r, _ := l.LoadLogin(context.Background(), xmpp.MustParseJID(user+"@"+rawDomain))
	return r
}

// change overwrites it.
func (l *logins) change(user string, f func(*xmpp.LoginRecord)) {
	account := xmpp.MustParseJID(user + "@" + rawDomain)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.records[account]
	f(&r)
	l.records = maps.Clone(l.records)
	if l.records == nil {
		l.records = map[xmpp.JID]xmpp.LoginRecord{}
	}
	l.records[account] = r
}

// heard is what a server was told.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) trace(line string) {
	if _, said, ok := strings.Cut(line, " C: "); ok {
		h.mu.Lock()
		h.lines = append(h.lines, said)
		h.mu.Unlock()
	}
}

func (h *heard) Write(said []byte) (int, error) {
	h.trace(" C: " + string(said))
	return len(said), nil
}

func (h *heard) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := h.lines
	h.lines = nil
	return lines
}

// tried are the mechanisms that logins were tried with since the last call, and what else they ask for.
func (h *heard) tried() string {
	var out []string
	for _, line := range h.take() {
		if m := mechanismOf.FindStringSubmatch(line); m != nil {
			name := m[1]
			for _, extra := range []string{"request-token", "<fast", "<resume", "<bind", "<upgrade"} {
				if strings.Contains(line, extra) {
					name += " " + strings.Trim(extra, "<")
				}
			}
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// server2 is a server with SASL2 alone, and what it hears.
func server2(t testing.TB, o testserver.Options) (*testserver.Server, *heard) {
	t.Helper()
	h := new(heard)
	o.SASL2, o.Login.NoSASL, o.Trace = true, true, h.trace
	return newServer(t, o), h
}

// config2 logs alice in there, without presence.
func config2(srv *testserver.Server) xmpp.Config {
	cfg := configFor(srv, "alice")
	cfg.NoInitialPresence, cfg.Logins = true, new(logins)
	return cfg
}

// tokenProof is the message of one side of HT-SHA-256; binding is nil for that with NONE.
func tokenProof(token, side string, binding []byte) string {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte(side))
	m.Write(binding)
	return string(m.Sum(nil))
}

// exporter is what binds to the connection.
func (c *rawConn) exporter() []byte {
	cs := c.Conn.(*tls.Conn).ConnectionState()
	data, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		panic(err)
	}
	return data
}

// hostile logs in where play is the server, which goes too far: the login fails and the connection is closed.
func hostile(t *testing.T, change func(*xmpp.Config), play func(c *rawConn)) (*rawConn, error) {
	t.Helper()
	var got dispatched
	r := newRawServer(t, play)
	cfg := r.config()
	if change != nil {
		change(&cfg)
	}
	failed := make(chan error, 1)
	s := newStream(t, cfg, got.delegate(), xmpp.Delegate{Auth: notAuth(failed)})
	err := s.Login(within(t, 5*time.Second))
	if err == nil {
		t.Error("logged in")
	} else if told := soon(t, failed, time.Second, "DidNotAuthenticate"); told != err {
		t.Errorf("DidNotAuthenticate got %v, Login returned %v", told, err)
	}
	got.nothing(t, s)
	c := r.done()[0]
	if !c.ended {
		t.Error("the connection was left open")
	}
	return c, err
}

// after are the names of what a client said after the first word of its last login.
func (h *heard) after() string {
	out := ""
	for _, line := range h.take() {
		switch name, _, _ := strings.Cut(strings.TrimLeft(line, "<"), " "); {
		case mechanismOf.MatchString(line):
			out = ""
		case name == "iq" && strings.Contains(line, "xmpp-bind"):
			out += " bind"
		default:
			out += " " + strings.TrimRight(name, "/>")
		}
	}
	return strings.TrimSpace(out)
}

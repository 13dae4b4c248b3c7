package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// binder is a BindDelegate and the Binder that it supplies.
type binder struct {
	name  string
	asked *[]string
	bind  func(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) // nil: it leaves it to others
}

func (b binder) WillBind(context.Context, *xmpp.Stream) xmpp.Binder {
	*b.asked = append(*b.asked, b.name)
	if b.bind == nil {
		return nil
	}
	return b
}

func (b binder) Bind(ctx context.Context, bd *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	return b.bind(ctx, bd)
}

// TestBinder replaces binding (EVT-09).
func TestBinder(t *testing.T) {
	own := func(ctx context.Context, b *xmpp.Binding) (kind xmpp.SessionKind, j xmpp.JID, err error) {
		if stanza.Child(b.Features(), "bind", "urn:ietf:params:xml:ns:xmpp-bind") == nil || b.Stream() == nil {
			return kind, j, errors.New("no features")
		}
		iq := stanza.NewIQ(stanza.Set, xmpp.JID{}, stanza.New("bind", "urn:ietf:params:xml:ns:xmpp-bind").C("resource").T("own"))
		iq.SetID("own")
		if err := b.Send(iq); err != nil {
			return kind, j, err
		}
		el, err := b.Receive(ctx)
		if err != nil {
			return kind, j, err
		}
		j, err = xmpp.ParseJID(stanza.Text(stanza.Child(stanza.Child(el, "bind", "urn:ietf:params:xml:ns:xmpp-bind"), "jid", "urn:ietf:params:xml:ns:xmpp-bind")))
		return xmpp.SessionResumed, j, err
	}
	tests := []struct {
		name    string
		second  func(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error)
		asked   string
		jid     string // empty: the login fails
		session string
		is      error
	}{
		{"own", own, "one two", "alice@example.test/own", "DidStartSession:1", nil},
		{"nobody", nil, "one two three", "alice@example.test/desk", "DidStartSession:0", nil},
		{"fallback", func(context.Context, *xmpp.Binding) (k xmpp.SessionKind, j xmpp.JID, err error) {
			return k, j, fmt.Errorf("the server has forgotten it: %w", xmpp.ErrBindFallback)
		}, "one two", "alice@example.test/desk", "DidStartSession:0", nil},
		{"ordinary", func(ctx context.Context, b *xmpp.Binding) (k xmpp.SessionKind, j xmpp.JID, err error) {
			j, err = b.Ordinary(ctx)
			return xmpp.SessionNew, j, err
		}, "one two", "alice@example.test/desk", "DidStartSession:0", nil},
		{"abort", func(context.Context, *xmpp.Binding) (k xmpp.SessionKind, j xmpp.JID, err error) {
			return k, j, errByTest
		}, "one two", "", "", errByTest},
		{"it must not wait elsewhere", func(ctx context.Context, b *xmpp.Binding) (k xmpp.SessionKind, j xmpp.JID, err error) {
			_, err = b.Stream().SendIQ(ctx, inquiry(xmpp.JID{}, "x"))
			return k, j, err
		}, "one two", "", "", xmpp.ErrInInterceptor},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			srv := newServer(t, testserver.Options{})
			cfg := configFor(srv, "alice")
			cfg.JID = xmpp.MustParseJID("alice@example.test/desk")
			cfg.NoInitialPresence = true
			rec := newRecorder()
			var asked []string
			s := newStream(t, cfg, xmpp.DelegateOf(rec), xmpp.Delegate{Bind: binder{"one", &asked, nil}},
				xmpp.Delegate{Bind: binder{"two", &asked, tt.second}}, xmpp.Delegate{Bind: binder{"three", &asked, nil}})
			err := s.Login(within(t, 5*time.Second))
			if got := strings.Join(asked, " "); got != tt.asked {
				t.Errorf("asked: %s", got)
			}
			if tt.jid == "" {
				var ae *xmpp.AuthError
				if !errors.Is(err, tt.is) || !errors.As(err, &ae) || ae.Step != "bind" || !s.IsDisconnected() {
					t.Errorf("Login returned %v, the stream is %v", err, s.State())
				}
				rec.expect(t, eventsConnect+"DidNotAuthenticate DidDisconnect")
				return
			}
			if err != nil || s.MyJID().String() != tt.jid || !s.IsAuthenticated() {
				t.Errorf("Login returned %v, bound to %v", err, s.MyJID())
			}
			changed := ""
			if tt.jid != cfg.JID.String() {
				changed = "DidChangeMyJID "
			}
			rec.expect(t, eventsConnect+changed+tt.session+" DidAuthenticate")
			if err := s.Send(context.Background(), stanza.NewMessage(stanza.Chat, s.MyJID(), "x")); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("resumed although nothing was held", func(t *testing.T) {
		checkGoroutines(t)
		srv := newServer(t, testserver.Options{})
		var asked []string
		s := newStream(t, configFor(srv, "alice"), xmpp.Delegate{Bind: binder{"one", &asked, func(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
			jid, err := b.Ordinary(ctx)
			return xmpp.SessionResumed, jid, err
		}}})
		for range 3 {
			if err := s.Login(within(t, 5*time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.SendIQ(within(t, 5*time.Second), inquiry(s.MyJID(), "x")); err == nil || errors.As(err, new(*xmpp.DisconnectedError)) {
				t.Errorf("SendIQ returned %v", err)
			}
			s.Disconnect()
		}
	})
	t.Run("the connection is lost meanwhile", func(t *testing.T) {
		checkGoroutines(t)
		srv := newServer(t, testserver.Options{})
		cfg := configFor(srv, "alice")
		var asked []string
		rec := newRecorder()
		through := make(chan struct{})
		var s *xmpp.Stream
		s = newStream(t, cfg, xmpp.DelegateOf(rec), xmpp.Delegate{Bind: binder{"deaf", &asked, func(_ context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
			s.Disconnect()
			rec.until(t, "DidDisconnect") // although this takes its time, and ignores its ctx
			close(through)
			return xmpp.SessionNew, xmpp.MustParseJID("alice@example.test/r"), nil
		}}})
		if err := s.Login(within(t, 5*time.Second)); err == nil {
			t.Error("logged in")
		}
		if s.IsAuthenticated() || !s.IsDisconnected() {
			t.Errorf("the stream is %v, authenticated %v", s.State(), s.IsAuthenticated())
		}
		soon(t, through, 5*time.Second, "DidDisconnect")
		if e := rec.take(); len(e) > 0 {
			t.Errorf("after DidDisconnect: %v", e)
		}
	})
}

// alternatives answers for resources that are taken.
type alternatives struct {
	give  []string
	asked *[]string
}

func (a *alternatives) AlternativeResource(_ context.Context, _ *xmpp.Stream, conflicting string) string {
	*a.asked = append(*a.asked, conflicting)
	if len(a.give) == 0 {
		return ""
	}
	r := a.give[0]
	a.give = a.give[1:]
	return r
}

// TestResourceConflict asks for a resource that is taken (CORE-24, EVT-10).
func TestResourceConflict(t *testing.T) {
	tests := []struct {
		name        string
		first, then []string // what the two delegates answer
		asked       string
		want        string // "*": whatever the server chooses
	}{
		{"nobody answers", nil, nil, "desk desk", "*"},
		{"the first answers", []string{"other"}, []string{"never"}, "desk", "other"},
		{"the second answers", nil, []string{"other"}, "desk desk", "other"},
		{"also taken", []string{"desk", "desk", "third"}, nil, "desk desk desk", "third"},
		{"for ever", slices.Repeat([]string{"desk"}, 100), nil, "desk desk desk desk desk", "*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			srv := newServer(t, testserver.Options{Conflict: testserver.ConflictRefuse})
			cfg := configFor(srv, "alice")
			cfg.JID = xmpp.MustParseJID("alice@example.test/desk")
			login(t, cfg)
			var asked []string
			s := login(t, cfg, xmpp.Delegate{Resource: &alternatives{tt.first, &asked}}, xmpp.Delegate{Resource: &alternatives{tt.then, &asked}})
			if got := strings.Join(asked, " "); got != tt.asked {
				t.Errorf("asked about %s", got)
			}
			if r := s.MyJID().Resource(); r == "desk" || r == "" || tt.want != "*" && r != tt.want {
				t.Errorf("bound to %s", r)
			}
		})
	}
	t.Run("the older session ends", func(t *testing.T) { // the server's other policy
		checkGoroutines(t)
		srv := newServer(t, testserver.Options{})
		cfg := configFor(srv, "alice")
		cfg.JID = xmpp.MustParseJID("alice@example.test/desk")
		old := login(t, cfg)
		login(t, cfg)
		if err := old.Wait(within(t, 5*time.Second)); !errors.Is(err, &xmpp.StreamError{Condition: "conflict"}) {
			t.Errorf("the older session ended with %v", err)
		}
	})
}

// TestBind goes through the answers to a request for a resource, and the session request (CORE-23 to CORE-27).
func TestBind(t *testing.T) {
	const demanded, optional = offerSession, "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"
	refused := func(cond string) string {
		return "<iq type='error' id='%s'><error type='cancel'><" + cond + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
	}
	tests := []struct {
		name, answer, feature string
		skip                  bool
		sessionAnswer         string // of the server; empty: there must be no session request
		step                  string // that fails; empty: none does
	}{
		{name: "good", answer: boundTo("alice@example.test/r")},
		{name: "good, from the own server", answer: strings.Replace(boundTo("alice@example.test/r"), "<iq", "<iq from='example.test'", 1)},
		{name: "from somebody else", answer: strings.Replace(boundTo("alice@example.test/r"), "<iq", "<iq from='mallory@example.test'", 1), step: "bind"},
		{name: "another id", answer: strings.Replace(boundTo("alice@example.test/r"), "%s", "x", 1), step: "bind"},
		{name: "not allowed", answer: refused("not-allowed"), step: "bind"},
		{name: "resource-constraint", answer: refused("resource-constraint"), step: "bind"},
		{name: "conflict without a resource", answer: refused("conflict"), step: "bind"},
		{name: "session demanded", answer: boundTo("alice@example.test/r"), feature: demanded, sessionAnswer: "<iq type='result' id='%s'/>"},
		{name: "session refused", answer: boundTo("alice@example.test/r"), feature: demanded, sessionAnswer: refused("internal-server-error"), step: "session"},
		{name: "session answered by somebody else", answer: boundTo("alice@example.test/r"), feature: demanded,
			sessionAnswer: "<iq type='error' id='%s' from='mallory@example.test/x'/><iq type='result' id='%s' from='example.test'/>", step: "session"},
		{name: "session optional", answer: boundTo("alice@example.test/r"), feature: optional},
		{name: "session skipped", answer: boundTo("alice@example.test/r"), feature: demanded, skip: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			raw := newRawServer(t, func(c *rawConn) {
				c.secure(offerSASL("SCRAM-SHA-1"))
				c.success(c.scram())
				c.bindWith(tt.answer, tt.feature)
				id := attrID.FindStringSubmatch(c.wait("</iq>"))
				c.say("%s", strings.ReplaceAll(tt.sessionAnswer, "%s", id[1]))
			})
			cfg := raw.config()
			cfg.SkipSession = tt.skip
			s := newStream(t, cfg)
			err := s.Login(within(t, 5*time.Second))
			var ae *xmpp.AuthError
			switch {
			case tt.step == "" && (err != nil || s.MyJID().String() != "alice@example.test/r"):
				t.Errorf("Login returned %v, bound to %v", err, s.MyJID())
			case tt.step != "" && (!errors.As(err, &ae) || ae.Step != tt.step || !s.IsDisconnected()):
				t.Errorf("Login returned %v, the stream is %v", err, s.State())
			}
			s.Disconnect()
			if asked := strings.Contains(string(raw.done()[0].seen), "xmpp-session"); asked != (tt.sessionAnswer != "") {
				t.Errorf("session request: %v", asked)
			}
		})
	}
}

package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// inliner is a module that takes part in logins, and writes down when it is called.
type inliner struct {
	xmpp.ModuleBase
	name    string
	order   *order
	inline  func(in *xmpp.Inline) error
	inlined func(r *xmpp.InlineResult)
}

func (m *inliner) Name() string                  { return m.name }
func (m *inliner) Activate(s *xmpp.Stream) error { return m.Attach(s, m, nil) }

func (m *inliner) Inline(_ context.Context, in *xmpp.Inline) error {
	m.order.note(m.name + ".Inline")
	if m.inline != nil {
		return m.inline(in)
	}
	return nil
}

func (m *inliner) Inlined(_ context.Context, r *xmpp.InlineResult) {
	m.order.note(m.name + ".Inlined")
	if m.inlined != nil {
		m.inlined(r)
	}
}

func (m *inliner) ReceiveSession(context.Context, xmpp.SessionKind) {
	m.order.note(m.name + ".session")
}

// inlineBinder is a Binder that takes part in it.
type inlineBinder struct {
	binder
	*inliner
}

func (b inlineBinder) WillBind(ctx context.Context, s *xmpp.Stream) xmpp.Binder {
	b.order.note("WillBind")
	return b
}

func (b inlineBinder) Bind(ctx context.Context, bd *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	b.order.note("Bind")
	return b.bind(ctx, bd)
}

func ordinary(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	if b.Inlined() == nil {
		return xmpp.SessionNew, xmpp.JID{}, errors.New("nothing came with the login")
	}
	jid, err := b.Ordinary(ctx)
	return xmpp.SessionNew, jid, err
}

// activate gives modules to a stream.
func activate(t *testing.T, s *xmpp.Stream, modules ...*inliner) {
	t.Helper()
	for _, m := range modules {
		if err := m.Activate(s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInliner adds to a login of one step.
func TestInliner(t *testing.T) {
	checkGoroutines(t)
	const (
		ns   = "urn:example:inline"
		bind = "SCRAM-SHA-512-PLUS request-token bind"
	)
	t.Run("order", func(t *testing.T) {
		var o order
		srv, h := server2(t, testserver.Options{})
		cfg := config2(srv)
		cfg.Bind2 = true
		b := inlineBinder{binder{bind: ordinary}, &inliner{name: "binder", order: &o}}
		s := newStream(t, cfg, xmpp.Delegate{Bind: b})
		activate(t, s, &inliner{name: "one", order: &o}, &inliner{name: "two", order: &o})
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		if got, want := o.take(), "WillBind binder.Inline one.Inline two.Inline binder.Inlined one.Inlined two.Inlined Bind one.session two.session"; got != want {
			t.Errorf("called: %s\nwant:   %s", got, want)
		}
		if got := h.tried(); got != bind {
			t.Errorf("tried %s", got)
		}
	})
	t.Run("what is offered, sent and answered", func(t *testing.T) {
		var o order
		srv, h := server2(t, testserver.Options{Login: testserver.LoginOptions{BindFeatures: []string{ns}, BindMetadata: "<meta xmlns='" + ns + "'/>"}})
		cfg := config2(srv)
		cfg.Bind2 = true
		m := &inliner{name: "m", order: &o}
		s := newStream(t, cfg)
		m.inline = func(in *xmpp.Inline) error {
			if in.Stream() != s || !in.Offers("sm", "urn:xmpp:sm:3") || in.Offers("sm", ns) || in.Offers("x", ns) || !in.BindOffers(ns) || in.BindOffers("urn:x") {
				t.Error("the offer is not what the server lists")
			}
			in.Add(stanza.New("along", ns).T("<&>"))
			in.AddToBind(stanza.New("enable", ns))
			return nil
		}
		m.inlined = func(r *xmpp.InlineResult) {
			if r.Success().Tag != "success" || stanza.Child(r.Bound(), "meta", ns) == nil {
				t.Errorf("came %s", stanza.Compact(r.Success()))
			}
		}
		activate(t, s, m)
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		xml := strings.Join(h.take(), "")
		i, j := strings.Index(xml, "<along xmlns='"+ns+"'>&lt;&amp;"), strings.Index(xml, "<bind xmlns='"+nsBind2+"'><enable xmlns='"+ns+"'")
		if i < 0 || j < i {
			t.Errorf("the client sent %s", xml)
		}
	})
	for name, c := range map[string]struct {
		bind2 bool
		jid   string
		inner func(*xmpp.Inline)
		tried string
	}{
		"without Bind2":   {false, "alice@example.test", nil, strings.TrimSuffix(bind, " bind")},
		"with a resource": {true, "alice@example.test/r", nil, strings.TrimSuffix(bind, " bind")},
		"bind later":      {true, "alice@example.test", func(in *xmpp.Inline) { in.BindLater() }, strings.TrimSuffix(bind, " bind")},
		"bind now":        {true, "alice@example.test", nil, bind},
	} {
		t.Run(name, func(t *testing.T) {
			var o order
			srv, h := server2(t, testserver.Options{})
			cfg := config2(srv)
			cfg.Bind2, cfg.JID = c.bind2, xmpp.MustParseJID(c.jid)
			s := newStream(t, cfg)
			now := strings.HasSuffix(c.tried, " bind")
			activate(t, s, &inliner{name: "m", order: &o, inline: func(in *xmpp.Inline) error {
				if c.inner != nil {
					c.inner(in)
				}
				if in.BindOffers("urn:xmpp:carbons:2") != now {
					t.Error("BindOffers")
				}
				in.AddToBind(stanza.New("enable", "urn:xmpp:carbons:2"))
				return nil
			}, inlined: func(r *xmpp.InlineResult) {
				if (r.Bound() != nil) != now {
					t.Errorf("bound %v", r.Bound())
				}
			}})
			if err := s.Login(within(t, 5*time.Second)); err != nil {
				t.Fatal(err)
			}
			lines := strings.Join(h.lines, "")
			if got := h.tried(); got != c.tried || strings.Contains(lines, "carbons") != now {
				t.Errorf("tried %s, said %s", got, lines)
			}
		})
	}
	t.Run("a Binder that knows nothing of it", func(t *testing.T) {
		srv, h := server2(t, testserver.Options{})
		cfg := config2(srv)
		cfg.Bind2 = true
		var asked []string
		s := login(t, cfg, xmpp.Delegate{Bind: binder{"plain", &asked, func(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
			if b.Inlined().Bound() != nil {
				t.Error("a resource is bound before the Binder is asked")
			}
			return ordinary(ctx, b)
		}}})
		if got := h.tried(); got != strings.TrimSuffix(bind, " bind") || len(asked) != 1 {
			t.Errorf("tried %s, asked %v", got, asked)
		}
		if _, err := s.SendIQ(within(t, time.Second), inquiry(xmpp.JID{}, "x")); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Error(err)
		}
	})
	t.Run("asked before each attempt", func(t *testing.T) {
		var o order
		var n int
		r := newRawServer(t, func(c *rawConn) {
			c.profile = xep0388
			c.secure(offerSASL2("", "SCRAM-SHA-256", "SCRAM-SHA-1"))
			if _, _, xml := c.request(); !strings.Contains(xml, "<n xmlns='"+ns+"'>1</n>") {
				t.Errorf("first: %s", xml)
			}
			c.say(c.profile.failure(condition("mechanism-too-weak")))
			mech, first, xml := c.request()
			if !strings.Contains(xml, "<n xmlns='"+ns+"'>2</n>") || strings.Contains(xml, ">1<") {
				t.Errorf("second: %s", xml)
			}
			c.success(c.prove(mech, first))
			c.bind(boundTo("alice@example.test/r"))
		})
		s := newStream(t, r.config())
		activate(t, s, &inliner{name: "m", order: &o, inline: func(in *xmpp.Inline) error {
			n++
			in.Add(stanza.New("n", ns).T(fmt.Sprint(n)))
			return nil
		}})
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Error(err)
		}
		if got := o.take(); got != "m.Inline m.Inline m.Inlined m.session" {
			t.Errorf("called: %s", got)
		}
	})
	t.Run("an error ends the login", func(t *testing.T) {
		var o order
		srv, h := server2(t, testserver.Options{})
		cfg := config2(srv)
		login(t, cfg).Disconnect()
		token := cfg.Logins.(*logins).of("alice").Token
		h.take()
		for _, m := range []*inliner{
			{name: "m", order: &o, inline: func(*xmpp.Inline) error { return errByTest }},
			{name: "m", order: &o, inline: func(in *xmpp.Inline) error {
				_, err := in.Stream().SendIQ(context.Background(), inquiry(xmpp.JID{}, "x"))
				return err
			}},
			{name: "m", order: &o, inline: func(in *xmpp.Inline) error { in.Add(stanza.New("x", ns).T("\x00")); return nil }},
		} {
			s := newStream(t, cfg)
			activate(t, s, m)
			var ae *xmpp.AuthError
			if err := s.Login(within(t, 5*time.Second)); !errors.As(err, &ae) {
				t.Errorf("Login returned %v", err)
			}
			if got := o.take(); got != "m.Inline" || h.tried() != "" || !s.IsDisconnected() {
				t.Errorf("called: %s", got)
			}
		}
		if got := cfg.Logins.(*logins).of("alice").Token; got != token || token == "" {
			t.Error("the token is gone")
		}
	})
	t.Run("a panic", func(t *testing.T) {
		var o order
		srv, _ := server2(t, testserver.Options{})
		cfg := config2(srv)
		var caught []string
		cfg.OnPanic = func(p *xmpp.PanicError) { caught = append(caught, p.Delegate) }
		s := newStream(t, cfg)
		activate(t, s, &inliner{name: "m", order: &o, inlined: func(*xmpp.InlineResult) { panic("x") }})
		if err := s.Login(within(t, 5*time.Second)); err != nil || len(caught) != 1 || caught[0] != "m" {
			t.Errorf("Login returned %v, caught %v", err, caught)
		}
	})
	t.Run("nobody is asked without SASL2", func(t *testing.T) {
		var o order
		s := newStream(t, config2(newServer(t, testserver.Options{})))
		activate(t, s, &inliner{name: "m", order: &o})
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Error(err)
		}
		if got := o.take(); got != "m.session" {
			t.Errorf("called: %s", got)
		}
	})
}

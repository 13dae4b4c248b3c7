package carbons_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/carbons"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// answers is a server that agrees to copies, refuses them or does not answer; it notes what it was asked and told.
type answers struct {
	mu     sync.Mutex
	refuse string // a condition, or "silent"
	heard  events
}

func (a *answers) set(refuse string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = refuse
}

func (a *answers) handle(_ xmpp.JID, e *etree.Element, send func(string)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := stanza.AttrOr(e, "id", "")
	for el := range stanza.Children(e, stanza.Any, carbons.NS) {
		a.heard.note("%s", el.Tag)
		switch a.refuse {
		case "":
			send("<iq type='result' id='" + id + "'/>")
		case "silent":
		default:
			send(fmt.Sprintf("<iq type='error' id='%s'><error type='cancel'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id, a.refuse))
		}
		return true
	}
	if e.Tag == "presence" {
		a.heard.note("presence")
	}
	return false
}

// client is a stream with the module, not connected, at such a server.
func client(t *testing.T, cfg carbons.Config) (*carbons.Carbons, *xmpp.Stream, *answers, *events) {
	t.Helper()
	a := new(answers)
	srv := xmpptest.NewServer(t, xmpptest.WithHandler(a.handle))
	s, err := xmpp.New(srv.Config("juliet"))
	must(t, err)
	t.Cleanup(s.Disconnect)
	c, e := carbons.New(cfg), new(events)
	c.AddDelegate(e.delegate(), nil)
	must(t, c.Activate(s))
	return c, s, a, e
}

// TestEnable: each new session begins with it, ahead of presence; a resumed one has it; Disable holds.
func TestEnable(t *testing.T) {
	checkGoroutines(t)
	for _, resume := range []bool{false, true} {
		bubble(t, fmt.Sprint("resumed ", resume), func(t *testing.T) {
			c, s, a, e := client(t, carbons.Config{})
			if resume {
				must(t, sm.New(sm.Config{}).Activate(s))
			}
			expect := func(what, heard, told string, enabled bool) {
				t.Helper()
				e.want(t, what, told)
				if got := a.heard.take(); got != heard {
					t.Errorf("%s: the server heard %q, want %q", what, got, heard)
				}
				if c.IsEnabled() != enabled {
					t.Errorf("%s: enabled %v, want %v", what, c.IsEnabled(), enabled)
				}
			}
			again := func() {
				t.Helper()
				time.Sleep(time.Second)
				s.Fail(errors.New("cut by the test"))
				synctest.Wait()
				must(t, s.Login(t.Context()))
			}
			must(t, s.Login(t.Context()))
			expect("logged in", "enable; presence", "enabled", true)
			again()
			if resume {
				expect("resumed", "", "", true)
			} else {
				expect("a new session", "enable; presence", "enabled", true)
			}
			must(t, c.Enable(t.Context()))
			expect("once more", "enable", "enabled", true)
			must(t, c.Disable(t.Context()))
			expect("disabled", "disable", "disabled", false)
			again()
			if resume {
				expect("resumed without", "", "", false)
			} else {
				expect("a new session without", "presence", "", false)
			}
			must(t, c.Enable(t.Context()))
			expect("enabled", "enable", "enabled", true)
			s.Disconnect()
			must(t, s.Login(t.Context()))
			expect("new in any case", "enable; presence", "enabled", true)

			c.Deactivate()
			expect("deactivated", "", "", false)
			if err := c.Enable(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
				t.Error(err)
			}
			if err := c.Disable(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
				t.Error(err)
			}
			must(t, c.Activate(s))
			expect("activated during a session", "enable", "enabled", true)
			if err := c.Activate(s); !errors.Is(err, xmpp.ErrModuleActive) {
				t.Error(err)
			}
		})
	}
}

// TestNoAutoEnable: the application asks, in each session.
func TestNoAutoEnable(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		c, s, a, e := client(t, manual)
		must(t, s.Login(t.Context()))
		synctest.Wait()
		must(t, c.Enable(t.Context()))
		s.Disconnect()
		must(t, s.Login(t.Context()))
		e.want(t, "two sessions", "enabled")
		if got := a.heard.take(); got != "presence; enable; presence" || c.IsEnabled() {
			t.Errorf("the server heard %q; enabled: %v", got, c.IsEnabled())
		}
	})
}

// TestFail: a refusal, a server that does not answer and a connection that is lost are told, and do not keep the next attempt from anything.
func TestFail(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		c, s, a, e := client(t, carbons.Config{})
		for _, tt := range []struct{ refuse, told string }{
			{"service-unavailable", "failed: unsupported"},
			{"feature-not-implemented", "failed: unsupported"},
			{"forbidden", "failed: forbidden"},
			{"silent", "failed: timeout"},
		} {
			a.set(tt.refuse)
			must(t, s.Login(t.Context()))
			time.Sleep(time.Minute)
			e.want(t, tt.refuse, tt.told)
			if err := c.Enable(t.Context()); err == nil || "failed: "+kind(err) != tt.told {
				t.Errorf("%s: Enable returned %v", tt.refuse, err)
			}
			e.want(t, tt.refuse+", Enable", tt.told)
			if c.IsEnabled() {
				t.Error("enabled")
			}
			a.set("")
			must(t, c.Enable(t.Context()))
			e.want(t, "after "+tt.refuse, "enabled")
			a.set(tt.refuse)
			if err := c.Disable(t.Context()); err == nil || !c.IsEnabled() {
				t.Errorf("%s: Disable returned %v, enabled: %v", tt.refuse, err, c.IsEnabled())
			}
			e.want(t, tt.refuse+", Disable", tt.told)
			a.set("")
			must(t, c.Enable(t.Context()))
			e.want(t, "not disabled", "enabled")
			s.Disconnect()
		}
		a.set("silent")
		must(t, s.Login(t.Context()))
		s.Disconnect()
		e.want(t, "lost", "failed: disconnected")
		must(t, s.Login(t.Context()))
		synctest.Wait()
		c.Deactivate()
		e.want(t, "deactivated", "")
		must(t, c.Activate(s))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Enable(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		e.want(t, "the caller has given up", "")
	})
}

// TestCarbon: what is inside is told, once, and stands by itself; the wrapper is not told.
func TestCarbon(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		c, s, peer, e := pair(t, manual)
		var got *carbons.Carbon
		remove := c.AddInterceptor(func(_ context.Context, _ *carbons.Carbons, m *carbons.Carbon) *carbons.Carbon {
			got = m
			return m
		})
		own := s.MyJID().Bare().String()
		play := func(xml, want string) {
			t.Helper()
			got = nil
			peer.Play("S: " + xml)
			e.want(t, xml, want)
		}
		play(copied("received", own, said("romeo@example.test/a", own+"/phone", "hi")), "received from romeo@example.test/a: hi; filtered")
		if got == nil || got.Sent || !got.Time.IsZero() || got.Message.ID() != "1" || got.Message.Type() != stanza.Chat || got.Wrapper.From() != s.MyJID().Bare() {
			t.Errorf("%+v", got)
		}
		play(copied("sent", own, said(own+"/phone", "romeo@example.test", "ho")), "sent to romeo@example.test: ho; filtered")

		// The namespaces of the wrapper and a stamp are kept; the inner message has no parent.
		play("<message xmlns:q='urn:q' from='"+own+"' to='{jid}'><sent xmlns='urn:xmpp:carbons:2'>"+
			"<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>"+
			"<message xmlns='jabber:client' from='"+own+"/phone' to='romeo@example.test'><body>later</body><q:x q:y='1'/></message></forwarded></sent></message>",
			"sent to romeo@example.test: later; filtered")
		if want := time.Date(2010, 7, 10, 23, 8, 25, 0, time.UTC); got == nil || !got.Time.Equal(want) {
			t.Errorf("the stamp: %+v", got)
		}
		el := got.Message.Element()
		if el.Parent() != nil || got.Message.Child("x", "urn:q") == nil || stanza.Namespace(el) != stanza.NSClient {
			t.Error("it does not stand by itself:", stanza.Compact(el))
		}
		// To oneself.
		play(copied("sent", own, "<message xmlns='jabber:client' from='"+own+"/phone' type='chat'><body>note</body></message>"), "sent to : note; filtered")
		// Others are not touched.
		play(said("romeo@example.test/a", own, "hi"), "message from romeo@example.test/a: hi")
		play("<message from='"+own+"'><private xmlns='urn:xmpp:carbons:2'/><body>hi</body></message>", "message from "+own+": hi")
		play("<message from='"+own+"'><x xmlns='urn:x'><sent xmlns='urn:xmpp:carbons:2'/></x><body>hi</body></message>", "message from "+own+": hi")
		play("<message from='"+own+"'>"+forwarded(said("romeo@example.test", own, "inner"))+"</message>", "message from "+own+": ")
		if got != nil {
			t.Error("an interceptor was given", got.Wrapper)
		}

		// Interceptors replace and drop.
		remove()
		remove()
		hi := copied("received", own, said("romeo@example.test/a", own, "hi"))
		first := c.AddInterceptor(func(_ context.Context, _ *carbons.Carbons, m *carbons.Carbon) *carbons.Carbon {
			clear := *m
			clear.Message = m.Message.Copy()
			clear.Message.SetBody("clear " + m.Message.Body())
			return &clear
		})
		play(hi, "received from romeo@example.test/a: clear hi; filtered")
		second := c.AddInterceptor(func(context.Context, *carbons.Carbons, *carbons.Carbon) *carbons.Carbon { return nil })
		play(hi, "filtered")
		first()
		play(hi, "filtered")
		second()
		play(hi, "received from romeo@example.test/a: hi; filtered")

		c.Deactivate()
		play(hi, "message from "+own+": ")
	})
}

// TestPrivate marks a message once.
func TestPrivate(t *testing.T) {
	m := stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("romeo@example.test"), "hush")
	carbons.AddPrivate(m)
	carbons.AddPrivate(m)
	want := `<private xmlns="urn:xmpp:carbons:2"/><no-copy xmlns="urn:xmpp:hints"/></message>`
	if got := stanza.Compact(m.Element()); !strings.HasSuffix(got, "</body>"+want) || carbons.Is(m) {
		t.Errorf("got %s", got)
	}
}

func TestModule(t *testing.T) {
	c := carbons.New(carbons.Config{})
	if c.Name() != "carbons" || c.IsEnabled() {
		t.Error(c.Name(), c.IsEnabled())
	}
	var _ xmpp.Module = c
	var _ xmpp.SessionReceiver = c
	xmpptest.CheckDelegate(t, c)
	xmpptest.CheckDelegate(t, new(events), (*carbons.MessageDelegate)(nil), (*carbons.EnableDelegate)(nil))
	if _, ok := any(c).(xmpp.FeatureProvider); ok {
		t.Error("a client does not announce copies")
	}
}

// TestInline: a login in one step asks for copies, too, where the server offers that; nothing more is sent then.
func TestInline(t *testing.T) {
	checkGoroutines(t)
	sasl2 := xmpptest.WithSASL2()
	for _, tt := range []struct {
		name  string
		opts  []xmpptest.Option
		bare  bool // the resource is the server's to choose
		cfg   carbons.Config
		heard string
		told  string
	}{
		{"offered", []xmpptest.Option{sasl2}, true, carbons.Config{}, "presence", "enabled"},
		{"offered, not wanted", []xmpptest.Option{sasl2}, true, manual, "presence", ""},
		{"not for Bind 2", []xmpptest.Option{sasl2, xmpptest.WithLogin(xmpptest.LoginRules{BindFeatures: []string{"urn:x"}})}, true, carbons.Config{}, "enable; presence", "enabled"},
		{"no Bind 2", []xmpptest.Option{sasl2, xmpptest.Without("urn:xmpp:bind:0")}, true, carbons.Config{}, "enable; presence", "enabled"},
		{"a resource of one's own", []xmpptest.Option{sasl2}, false, carbons.Config{}, "enable; presence", "enabled"},
		{"no SASL2", nil, true, carbons.Config{}, "enable; presence", "enabled"},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			a, e, q := new(answers), new(events), xmpp.NewQueue()
			cfg := xmpptest.NewServer(t, append(tt.opts, xmpptest.WithHandler(a.handle))...).Config("juliet")
			if tt.bare {
				cfg.JID, cfg.Bind2 = cfg.JID.Bare(), true
			} else {
				cfg.JID = xmpp.MustParseJID(cfg.JID.Bare().String() + "/desk")
			}
			s, err := xmpp.New(cfg)
			must(t, err)
			defer s.Disconnect()
			c := carbons.New(tt.cfg)
			c.AddDelegate(e.delegate(), q)
			must(t, c.Activate(s))
			expect := func(what, heard, told string) {
				t.Helper()
				e.want(t, what, told)
				if got := a.heard.take(); got != heard {
					t.Errorf("%s: the server heard %q, want %q", what, got, heard)
				}
			}
			must(t, s.Login(t.Context()))
			expect("logged in", tt.heard, tt.told)
			if c.IsEnabled() != (tt.told != "") {
				t.Error("enabled:", c.IsEnabled())
			}
			s.Disconnect()
			must(t, s.Login(t.Context()))
			expect("a new session", tt.heard, tt.told)

			must(t, c.Disable(t.Context()))
			s.Disconnect()
			must(t, s.Login(t.Context()))
			expect("disabled", "disable; presence", "disabled")
			if c.IsEnabled() {
				t.Error("enabled")
			}
			// Whoever changes their mind while the login is under way has the last word.
			must(t, c.Enable(t.Context()))
			s.Disconnect()
			must(t, late{c: c}.activate(s))
			synctest.Wait()
			e.take()
			a.heard.take()
			must(t, s.Login(t.Context()))
			if tt.name == "offered" {
				expect("disabled late", "disable; presence", "failed: "+xmpp.ErrInInterceptor.Error()+"; enabled; disabled")
			}
		})
	}
}

// late is a module that disables copies when the login has asked for them.
type late struct {
	*xmpp.ModuleBase
	c *carbons.Carbons
}

func (l late) activate(s *xmpp.Stream) error {
	l.ModuleBase = new(xmpp.ModuleBase)
	return l.Attach(s, &l, nil)
}
func (late) Name() string                                        { return "late" }
func (l late) Activate(s *xmpp.Stream) error                     { return l.activate(s) }
func (late) Inline(context.Context, *xmpp.Inline) error          { return nil }
func (l late) Inlined(ctx context.Context, _ *xmpp.InlineResult) { _ = l.c.Disable(ctx) }

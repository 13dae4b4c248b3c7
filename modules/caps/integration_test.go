package caps_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
)

// realClient is a client with the module at a real server.
type realClient struct {
	s    *xmpp.Stream
	d    *disco.Disco
	c    *caps.Caps
	mu   sync.Mutex
	list []string      // what was heard
	more chan struct{} // something was
}

func login(t *testing.T, srv *integration.Server, cfg caps.Config, features ...string) *realClient {
	t.Helper()
	x := &realClient{d: disco.New(disco.Config{Name: "Test", Features: features, NoAutoFetch: true}), c: caps.New(cfg), more: make(chan struct{}, 100)}
	x.c.AddDelegate(x, nil)
	x.s = srv.Client(t, func(s *xmpp.Stream) { must(t, errors.Join(x.d.Activate(s), x.c.Activate(s))) })
	return x
}

func (x *realClient) note(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.list = append(x.list, fmt.Sprintf(format, args...))
	select {
	case x.more <- struct{}{}:
	default:
	}
}

func (x *realClient) CapsDidDiscover(_ context.Context, _ *caps.Caps, of xmpp.JID, info *disco.Info) {
	x.note("%s=%s", of, strings.Join(info.Features, "+"))
}

func (x *realClient) CapsDidNotDiscover(_ context.Context, _ *caps.Caps, of xmpp.JID, err error) {
	if errors.Is(err, caps.ErrIllFormed) {
		err = caps.ErrIllFormed
	}
	x.note("%s!%v", of, err)
}

// next waits for something about an entity, and returns it without the address.
func (x *realClient) next(t *testing.T, of xmpp.JID) string {
	t.Helper()
	end := time.After(10 * time.Second)
	for {
		x.mu.Lock()
		for i, s := range x.list {
			if rest, ok := strings.CutPrefix(s, of.String()); ok {
				x.list = append(x.list[:i], x.list[i+1:]...)
				x.mu.Unlock()
				return rest
			}
		}
		x.mu.Unlock()
		select {
		case <-x.more:
		case <-end:
			t.Fatalf("nothing was heard of %v", of)
		}
	}
}

// TestIntegration: what one client announces through a real server the other finds out, once for each hash, and again when it changes.
// The server itself, which does so for PEP, takes part in it.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		storage := caps.MemoryStorage()
		a, b := login(t, srv, caps.Config{Storage: storage}), login(t, srv, caps.Config{}, "urn:example:b")
		integration.Befriend(t, t.Context(), a.s, b.s)
		own := "=" + strings.Join(b.d.Own().Features, "+")
		if got := a.next(t, b.s.MyJID()); got != own {
			t.Errorf("heard %s, want %s", got, own)
		}
		if got, want := b.next(t, a.s.MyJID()), "="+strings.Join(a.d.Own().Features, "+"); got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
		if yes, known := a.c.Supports(b.s.MyJID().Bare(), "urn:example:b"); !yes || !known {
			t.Errorf("%v, %v", yes, known)
		}
		if ann, ok := a.c.Announced(b.s.MyJID()); !ok || len(ann.Hashes) != 2 || ann.Hashes[0] != b.c.Own().Hashes[0] {
			t.Errorf("%+v, %v", ann, ok)
		}

		// A module comes, the presence changes by itself, and the other side asks for the new hash.
		p := ping.New(ping.Config{Interval: -1})
		must(t, p.Activate(b.s))
		if got := a.next(t, b.s.MyJID()); got != "="+strings.Join(b.d.Own().Features, "+") || got == own {
			t.Errorf("heard %s", got)
		}
		// It goes, and nobody has to be asked any more.
		var asked atomic.Int32
		a.s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
			if iq.IsGet() {
				asked.Add(1)
			}
			return iq
		}})
		p.Deactivate()
		if got := a.next(t, b.s.MyJID()); got != own {
			t.Errorf("heard %s", got)
		}
		if n := asked.Load(); n != 0 {
			t.Errorf("%d questions were asked for a hash that was known", n)
		}
		// The other asks by itself, at an old node as well.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		mine := b.c.Own()
		for _, node := range []string{mine.Node + "#" + mine.Ver, "urn:xmpp:caps#sha-256." + mine.Hashes[0].Value} {
			info, err := a.d.Info(ctx, b.s.MyJID(), node)
			if err != nil || !info.Has("urn:example:b") {
				t.Errorf("%s: %+v, %v", node, info, err)
			}
		}
		must(t, b.s.Close(ctx))
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if _, known := a.c.Known(b.s.MyJID()); !known {
				break
			}
			if time.Now().After(end) {
				t.Fatal("one who has left is still known")
			}
		}

		// Another process with the same storage.
		for _, h := range mine.Hashes {
			if xml, err := storage.Load(ctx, a.s.MyJID().Bare(), h); err != nil || !strings.Contains(xml, "urn:example:b") {
				t.Errorf("%v: %q, %v", h, xml, err)
			}
		}
	})
}

// TestIntegrationServer: the capabilities of the server, which it announces in its stream features.
func TestIntegrationServer(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		storage := caps.MemoryStorage()
		cfg := srv.Config(srv.NewAccountAt(t, integration.Full))
		for session := range 2 {
			c, d := caps.New(caps.Config{Storage: storage}), disco.New(disco.Config{NoAutoFetch: true})
			s := srv.Login(t, cfg, func(s *xmpp.Stream) { must(t, errors.Join(d.Activate(s), c.Activate(s))) })
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			info, err := d.ServerInfo(ctx)
			cancel()
			if err != nil || !info.Has("urn:xmpp:ping") {
				t.Fatalf("%+v, %v", info, err)
			}
			yes, known := c.Supports(s.MyJID().DomainJID(), "urn:xmpp:ping")
			if !yes || !known {
				t.Errorf("%v, %v", yes, known)
			}
			if kept := c.LoadServerInfo(t.Context()); session == 0 {
				t.Logf("announced in the features: %v; verified: %v", s.HasFeature("c", caps.NS), kept != nil)
			} else if s.HasFeature("c", caps.NS) && kept == nil {
				t.Error("the hash of the server was not verified")
			}
			must(t, s.Close(t.Context()))
		}
	})
}

// hostile is an account that announces what it likes and answers what it likes. Modules are not its way.
type hostile struct {
	s      *xmpp.Stream
	mu     sync.Mutex
	answer string
	before func(iq *stanza.IQ) // called before it answers
}

func newHostile(t *testing.T, srv *integration.Server) *hostile {
	t.Helper()
	h := new(hostile)
	h.s = srv.Client(t, func(s *xmpp.Stream) {
		_, err := s.HandleIQ(stanza.Get, disco.NSInfo, "query", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.before != nil {
				h.before(iq)
			}
			node := stanza.AttrOr(iq.Payload(), "node", "")
			q, err := stanza.ParseElement("<query xmlns='http://jabber.org/protocol/disco#info' node='" + node + "'>" + h.answer + "</query>")
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Send(ctx, iq.Result(stanza.Raw(q)))
		})
		must(t, err)
	})
	return h
}

// announce sends directed presence with the capabilities c to the victim, and answers so from now on.
func (h *hostile) announce(t *testing.T, to xmpp.JID, c, answer string) {
	t.Helper()
	h.mu.Lock()
	h.answer = answer
	h.mu.Unlock()
	e, err := stanza.ParseElement("<presence xmlns='jabber:client' to='" + to.String() + "'>" + c + "</presence>")
	must(t, err)
	must(t, h.s.Send(t.Context(), stanza.Raw(e)))
}

// TestSec_ORG20Real is TestSec_ORG20 through real servers: a second account announces and answers all that, and an honest one what it is.
func TestSec_ORG20Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		victim, evil, honest := login(t, srv, caps.Config{}), newHostile(t, srv), newHostile(t, srv)
		to := victim.s.MyJID()
		n := 0
		hear := func(h *hostile, what, want string) {
			t.Helper()
			if got := victim.next(t, h.s.MyJID()); got != want {
				t.Errorf("%s: heard %s, want %s", what, got, want)
			}
			// A new address for the budget of questions in a minute is a new account.
			if n++; n%20 == 0 {
				evil, honest = newHostile(t, srv), newHostile(t, srv)
			}
		}
		for _, p := range illFormed {
			for _, c := range []string{c115(t, "n", p.answer), c390(t, p.answer, "sha-256")} {
				evil.announce(t, to, c, p.answer)
				hear(evil, p.name, "!"+caps.ErrIllFormed.Error())
			}
		}
		for i, p := range ownOnly {
			is := exodus + features(fmt.Sprint("f:", i))
			evil.announce(t, to, c115(t, "n", is), p.answer)
			hear(evil, p.name, strings.TrimPrefix(p.heard, "a"))
			honest.announce(t, to, c115(t, "n", is), is)
			hear(honest, p.name+", the honest one", "="+heardOf(t, is))
		}
		for _, x := range twins {
			evil.announce(t, to, c115(t, "n", x.honest), x.fake)
			hear(evil, x.name, "="+heardOf(t, x.fake))
			honest.announce(t, to, c115(t, "n", x.honest), x.honest)
			hear(honest, x.name+", the honest one", "="+heardOf(t, x.honest))
		}
		for _, h := range []*hostile{evil, honest} {
			h.announce(t, to, "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v' hash='md6'/>", client("f:"+h.s.MyJID().Local()))
			hear(h, "an unknown hash", "=f:"+h.s.MyJID().Local())
		}
		// Somebody else is quicker, knows the id of the question, and is not believed.
		evil, honest = newHostile(t, srv), newHostile(t, srv)
		is, forged := client("f:true"), victim.s.Stats().Forged
		honest.before = func(iq *stanza.IQ) {
			r := stanza.NewIQ(stanza.Result, to, stanza.New("query", disco.NSInfo).C("feature").A("var", "f:forged"))
			r.SetID(iq.ID())
			if err := evil.s.Send(context.Background(), r); err != nil {
				t.Error(err)
			}
			for end := time.Now().Add(5 * time.Second); victim.s.Stats().Forged == forged; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Error("the forged answer did not arrive")
					return
				}
			}
		}
		honest.announce(t, to, c115(t, "n", is), is)
		hear(honest, "an answer from somebody else", "=f:true")
	})
}

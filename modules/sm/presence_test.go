package sm_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// beginnings notes sessions, and who comes and goes.
type beginnings struct {
	mu    sync.Mutex
	heard []string
}

func (b *beginnings) add(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = append(b.heard, what)
}

func (b *beginnings) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := strings.Join(b.heard, " ")
	b.heard = nil
	return all
}

func (b *beginnings) DidStartSession(_ context.Context, _ *xmpp.Stream, kind xmpp.SessionKind) {
	b.add(map[xmpp.SessionKind]string{xmpp.SessionNew: "new", xmpp.SessionResumed: "resumed"}[kind])
}

func (b *beginnings) DidReceivePresence(_ context.Context, s *xmpp.Stream, p *stanza.Presence) {
	if p.From().Bare() != s.MyJID().Bare() {
		b.add(p.From().Local())
	}
}

// TestProcessPresence: for a process that goes on with a session everything is new: its modules begin, and it is told who is there.
func TestProcessPresence(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test", Subscription: "both"})
		srv.AddContact("romeo", xmpptest.Contact{JID: "juliet@example.test", Subscription: "both"})
		srv.Client(t, "romeo", xmpp.Delegate{Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) {})})
		place := sm.FileStorage(t.TempDir())
		start := func() (*process, *beginnings) {
			s, err := xmpp.New(srv.Config("juliet"))
			if err != nil {
				t.Fatal(err)
			}
			b, store := new(beginnings), &mortal{Storage: place}
			p := &process{store: store, client: &client{t: t, Stream: s, m: sm.New(sm.Config{Storage: store})}}
			s.AddDelegate(xmpp.Delegate{Session: b, Presence: b})
			if err := p.m.Activate(s); err != nil {
				t.Fatal(err)
			}
			p.login()
			settle()
			return p, b
		}
		p, b := start()
		if got := b.take(); got != "new romeo" {
			t.Errorf("the first process: %s", got)
		}
		jid := p.MyJID()
		p.lose(srv)
		p.login()
		settle()
		if got := b.take(); got != "resumed" {
			t.Errorf("the first process, resumed: %s", got)
		}
		p.kill(srv)
		p, b = start()
		if got := b.take(); got != "new romeo" || p.MyJID() != jid {
			t.Errorf("the second process: %s, %v", got, p.MyJID())
		}
		p.lose(srv)
		p.login()
		settle()
		if got := b.take(); got != "resumed" {
			t.Errorf("the second process, resumed: %s", got)
		}
		p.Disconnect()
		settle()
	})
}

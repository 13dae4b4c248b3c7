package blocking_test

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
	"github.com/go-xmppframework/xmpp/modules/blocking"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// lister is a server that answers requests for the list.
type lister struct {
	mu      sync.Mutex
	entries []string // nil: it does not answer
	refuse  stanza.Condition
	asked   int
}

func (l *lister) set(entries ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = entries
}

func (l *lister) took() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.asked
	l.asked = 0
	return n
}

func (l *lister) handle(_ xmpp.JID, e *etree.Element, send func(string)) bool {
	if stanza.Child(e, "blocklist", blocking.NS) == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	id := stanza.AttrOr(e, "id", "")
	switch {
	case l.refuse != "":
		send(fmt.Sprintf("<iq type='error' id='%s'><error type='cancel'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id, l.refuse))
	case l.entries != nil:
		send(fmt.Sprintf("<iq type='result' id='%s'>%s</iq>", id, list(l.entries...)))
	}
	return true
}

// client is a stream with the module, not connected, at a server that answers requests for the list.
func client(t *testing.T, cfg blocking.Config, opts ...xmpptest.Option) (*blocking.Blocking, *xmpp.Stream, *lister, *events) {
	t.Helper()
	l := new(lister)
	srv := xmpptest.NewServer(t, append(opts, xmpptest.WithHandler(l.handle))...)
	s, err := xmpp.New(srv.Config("juliet"))
	must(t, err)
	t.Cleanup(s.Disconnect)
	b, e := blocking.New(cfg), new(events)
	b.AddDelegate(e.delegate(), nil)
	must(t, b.Activate(s))
	return b, s, l, e
}

// TestSessions: the list is fetched for each new session, once, and stays what it is over a resumption.
func TestSessions(t *testing.T) {
	for _, cfg := range []blocking.Config{{}, {ClearOnDisconnect: true}, {NoAutoRetrieve: true}} {
		for _, resume := range []bool{false, true} {
			bubble(t, fmt.Sprintf("%+v resumed %v", cfg, resume), func(t *testing.T) {
				b, s, l, e := client(t, cfg)
				if resume {
					must(t, sm.New(sm.Config{}).Activate(s))
				}
				expect := func(what, wantList string, wantState blocking.State, wantEvents string, asked int) {
					t.Helper()
					e.want(t, what, wantEvents)
					if got := all(b); got != wantList {
						t.Errorf("%s: the list is %q, want %q", what, got, wantList)
					}
					if b.State() != wantState {
						t.Errorf("%s: the state is %v, want %v", what, b.State(), wantState)
					}
					if n := l.took(); n != asked {
						t.Errorf("%s: asked %d times, want %d", what, n, asked)
					}
				}
				l.set("tybalt@capulet.lit", "spam.lit")
				must(t, s.Login(t.Context()))
				if cfg.NoAutoRetrieve {
					expect("logged in", "", blocking.StateUnknown, "", 0)
					must(t, b.Retrieve(t.Context()))
				}
				expect("fetched", "tybalt@capulet.lit,spam.lit", blocking.StateReady, "list(tybalt@capulet.lit,spam.lit)", 1)

				l.set("iago@shakespeare.lit")
				time.Sleep(time.Second) // everything is acknowledged
				s.Fail(errors.New("cut by the test"))
				if cfg.ClearOnDisconnect {
					expect("cut", "", blocking.StateUnknown, "", 0)
				} else {
					expect("cut", "tybalt@capulet.lit,spam.lit", blocking.StateReady, "", 0)
				}
				must(t, s.Login(t.Context()))
				switch {
				case cfg.ClearOnDisconnect, !resume && !cfg.NoAutoRetrieve:
					expect("back", "iago@shakespeare.lit", blocking.StateReady, "list(iago@shakespeare.lit)", 1)
				case resume:
					expect("back", "tybalt@capulet.lit,spam.lit", blocking.StateReady, "", 0)
				default:
					expect("back", "tybalt@capulet.lit,spam.lit", blocking.StateUnknown, "", 0)
				}
				b.Clear()
				if b.Len() != 0 || b.State() != blocking.StateUnknown {
					t.Error("cleared:", all(b), b.State())
				}
			})
		}
	}
}

// TestFetchFails: the list of the session before stays, and whoever listens is told.
func TestFetchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, l, e := client(t, blocking.Config{})
		l.set("tybalt@capulet.lit")
		must(t, s.Login(t.Context()))
		e.want(t, "fetched", "list(tybalt@capulet.lit)")
		again := func() {
			s.Disconnect()
			must(t, s.Login(t.Context()))
		}
		l.set()
		l.entries = nil
		again()
		e.want(t, "asked", "")
		if b.State() != blocking.StateUnknown || all(b) != "tybalt@capulet.lit" {
			t.Error("on its way:", b.State(), all(b))
		}
		if yes, known := b.IsBlocked(jids("tybalt@capulet.lit/sword")[0]); !yes || known {
			t.Error("on its way: blocked", yes, "known", known)
		}
		time.Sleep(time.Minute)
		e.want(t, "no answer", "no list(timeout)")
		again()
		s.Disconnect()
		e.want(t, "disconnected", "no list(disconnected)")
		l.refuse = stanza.ServiceUnavailable
		must(t, s.Login(t.Context()))
		e.want(t, "unsupported", "no list(unsupported)")
		if b.State() != blocking.StateUnsupported {
			t.Error(b.State())
		}
		l.refuse = ""
		l.set("spam.lit")
		again()
		e.want(t, "another server", "list(spam.lit)")
		if b.State() != blocking.StateReady {
			t.Error(b.State())
		}
	})
}

// TestActivate: the module comes and goes during a session. What was on its way is given up without a word.
func TestActivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, l, e := client(t, blocking.Config{})
		b.Deactivate()
		must(t, s.Login(t.Context()))
		e.want(t, "not active", "")
		must(t, b.Activate(s))
		if err := b.Activate(s); !errors.Is(err, xmpp.ErrModuleActive) {
			t.Errorf("activated twice: %v", err)
		}
		synctest.Wait()
		b.Deactivate()
		e.want(t, "given up", "")
		l.set("tybalt@capulet.lit")
		must(t, b.Activate(s))
		e.want(t, "fetched", "list(tybalt@capulet.lit)")
		if n := l.took(); n != 2 {
			t.Errorf("asked %d times", n)
		}
		other := blocking.New(blocking.Config{})
		if err := other.Activate(s); !errors.Is(err, xmpp.ErrHandlerExists) {
			t.Errorf("a second one: %v", err)
		}
		b.Deactivate()
		if b.State() != blocking.StateUnknown || all(b) != "tybalt@capulet.lit" {
			t.Error("deactivated:", b.State(), all(b))
		}
	})
}

// TestOtherAccount: the list of one account is not shown as that of another.
func TestOtherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, l, e := client(t, blocking.Config{})
		l.set("tybalt@capulet.lit")
		must(t, s.Login(t.Context()))
		e.want(t, "fetched", "list(tybalt@capulet.lit)")
		s.Disconnect()
		b.Deactivate()
		l2 := new(lister) // does not answer
		srv := xmpptest.NewServer(t, xmpptest.WithDomain("other.test"), xmpptest.WithHandler(l2.handle))
		s2, err := xmpp.New(srv.Config("juliet"))
		must(t, err)
		t.Cleanup(s2.Disconnect)
		must(t, b.Activate(s2))
		must(t, s2.Login(t.Context()))
		synctest.Wait()
		if b.Len() != 0 {
			t.Error("the list of another account:", all(b))
		}
	})
}

// TestPushAndAnswer: a change that comes right behind an answer is not undone by it, however late the goroutine runs that has asked.
func TestPushAndAnswer(t *testing.T) {
	checkGoroutines(t)
	b, _, peer, _ := pair(t, manual)
	const push = "<iq type='set' id='p'><%s xmlns='urn:xmpp:blocking'><item jid='b.lit'/></%[1]s></iq>"
	for i := range 100 {
		id := fmt.Sprintf("{late%d}", i)
		peer.While(func() { must(t, b.Retrieve(t.Context())) }, "C: <iq type='get' id='"+id+"'><blocklist xmlns='urn:xmpp:blocking'/></iq>\n"+
			"S: <iq type='result' id='"+id+"'>"+list("a.lit")+"</iq>"+fmt.Sprintf(push, "block")+"\nC: <iq type='result' id='p'/>")
		if all(b) != "a.lit,b.lit" {
			t.Fatalf("after the list and a push: %s", all(b))
		}
		id = fmt.Sprintf("{change%d}", i)
		peer.While(func() { must(t, b.Block(t.Context(), jids("b.lit")...)) }, "C: <iq type='set' id='"+id+"'><block xmlns='urn:xmpp:blocking'>*</block></iq>\n"+
			"S: <iq type='result' id='"+id+"'/>"+fmt.Sprintf(push, "unblock")+"\nC: <iq type='result' id='p'/>")
		if all(b) != "a.lit" {
			t.Fatalf("after a block here and an unblock elsewhere: %s", all(b))
		}
	}
}

// TestDeactivateMeanwhile: an answer that comes after the module has gone changes nothing.
func TestDeactivateMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for answer, want := range map[string]string{
			"<iq type='result' id='{id}'/>": "",
			"<iq type='error' id='{id}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>": "unsupported",
		} {
			b, _, peer, e := pair(t, manual)
			done := make(chan error, 1)
			go func() { done <- b.Block(t.Context(), jids("tybalt@capulet.lit")...) }()
			id := stanza.AttrOr(peer.Next(), "id", "")
			b.Deactivate()
			peer.Inject(strings.ReplaceAll(answer, "{id}", id))
			if err := <-done; kind(err) != want {
				t.Errorf("%q: %v", want, err)
			}
			synctest.Wait()
			if all(b) != "" || b.State() != blocking.StateUnknown || strings.HasPrefix(e.take(), "blocked") {
				t.Errorf("%q: %s, %v", want, all(b), b.State())
			}
		}
	})
}

// TestInterceptor: a request that an interceptor has sent under another id is taken over all the same.
func TestInterceptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, l, e := client(t, blocking.Config{})
		s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
			iq = iq.Copy()
			iq.SetID("x" + iq.ID())
			return iq
		}})
		l.set("tybalt@capulet.lit")
		must(t, s.Login(t.Context()))
		e.want(t, "fetched", "list(tybalt@capulet.lit)")
		if !b.Contains(jids("tybalt@capulet.lit/x")[0]) || b.State() != blocking.StateReady {
			t.Error(all(b), b.State())
		}
	})
}

// TestConcurrent: whatever two clients of an account do at the same time, in the end both have the server's list.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		addrs := jids("a.lit", "b@b.lit", "c@c.lit/c", "d.lit/d", "e.lit")
		var both [2]*blocking.Blocking
		for i := range both {
			both[i] = blocking.New(blocking.Config{})
			both[i].AddDelegate(new(events).delegate(), nil)
			s, err := xmpp.New(srv.Config("juliet"))
			must(t, err)
			t.Cleanup(s.Disconnect)
			must(t, both[i].Activate(s))
			must(t, s.Login(t.Context()))
		}
		var wg sync.WaitGroup
		for i := range 8 {
			b := both[i%2]
			wg.Go(func() {
				for n := range 40 {
					j, err := addrs[(i+n*7)%len(addrs)], error(nil)
					switch (i + n) % 9 {
					case 0, 1, 2, 3:
						if err = b.Block(t.Context(), j); err == nil {
							b.Contains(j)
						}
					case 4, 5, 6:
						err = b.Unblock(t.Context(), j, addrs[n%len(addrs)])
					case 7:
						err = b.Retrieve(t.Context())
					default:
						err = b.UnblockAll(t.Context())
					}
					if err != nil {
						t.Error(err)
					}
					for j := range b.All() {
						b.Contains(j)
					}
				}
			})
		}
		wg.Wait()
		must(t, both[0].Block(t.Context(), addrs[0]))
		synctest.Wait()
		one, other := all(both[0]), all(both[1])
		must(t, both[0].Retrieve(t.Context()))
		if server := all(both[0]); one != server || other != server {
			t.Errorf("one has %s, the other %s, the server %s", one, other, server)
		}
	})
}

package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/privacy"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// lister is a server that answers requests for lists.
type lister struct {
	mu     sync.Mutex
	lists  map[string]string // by name; nil: it does not answer
	refuse stanza.Condition
	asked  []string
}

func (l *lister) set(lists map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists = lists
}

func (l *lister) took() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.asked, " ")
	l.asked = nil
	return s
}

func (l *lister) handle(_ xmpp.JID, e *etree.Element, send func(string)) bool {
	query := stanza.Child(e, "query", privacy.NS)
	if query == nil || stanza.AttrOr(e, "type", "") != "get" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id, name := stanza.AttrOr(e, "id", ""), stanza.AttrOr(stanza.Child(query, "list", privacy.NS), "name", "")
	l.asked = append(l.asked, "?"+name)
	var content strings.Builder
	switch {
	case l.refuse != "":
		send(fmt.Sprintf("<iq type='error' id='%s'><error type='cancel'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id, l.refuse))
		return true
	case l.lists == nil:
		return true
	case name != "":
		fmt.Fprintf(&content, "<list name='%s'><item action='%s' order='1'/></list>", name, l.lists[name])
	default:
		content.WriteString("<active name='a'/>")
		for _, n := range slices.Sorted(maps.Keys(l.lists)) {
			content.WriteString("<list name='" + n + "'/>")
		}
	}
	send(fmt.Sprintf("<iq type='result' id='%s'><query xmlns='jabber:iq:privacy'>%s</query></iq>", id, content.String()))
	return true
}

// client is a stream with the module, not connected, at a server that answers requests for lists.
func client(t *testing.T, cfg privacy.Config) (*privacy.Privacy, *xmpp.Stream, *lister, *events) {
	t.Helper()
	l := new(lister)
	srv := xmpptest.NewServer(t, xmpptest.WithHandler(l.handle))
	s, err := xmpp.New(srv.Config("juliet"))
	must(t, err)
	t.Cleanup(s.Disconnect)
	p, e := privacy.New(cfg), new(events)
	p.AddDelegate(e.delegate(), nil)
	must(t, p.Activate(s))
	return p, s, l, e
}

// TestSessions: the lists are fetched for each new session, once, and stay what they are over a resumption.
func TestSessions(t *testing.T) {
	for _, cfg := range []privacy.Config{{}, {ClearOnDisconnect: true}, {NoAutoRetrieveItems: true}, {NoAutoRetrieveNames: true}} {
		for _, resume := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v resumed %v", cfg, resume), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, s, l, e := client(t, cfg)
					if resume {
						must(t, sm.New(sm.Config{}).Activate(s))
					}
					expect := func(what, wantKnown string, wantState privacy.State, asked string) {
						t.Helper()
						if got := l.took(); got != asked {
							t.Errorf("%s: asked %q, want %q", what, got, asked)
						}
						if got := known(p); got != wantKnown || p.State() != wantState {
							t.Errorf("%s: known is %q, %v, want %q, %v", what, got, p.State(), wantKnown, wantState)
						}
					}
					l.set(map[string]string{"a": "allow", "b": "deny"})
					must(t, s.Login(t.Context()))
					first := "*a(allow 1); b(deny 1)"
					switch {
					case cfg.NoAutoRetrieveNames:
						expect("logged in", "", privacy.StateUnknown, "")
						must(t, p.RetrieveNames(t.Context()))
						expect("asked", first, privacy.StateReady, "? ?a ?b")
					case cfg.NoAutoRetrieveItems:
						first = "*a; b"
						expect("logged in", first, privacy.StateReady, "?")
					default:
						expect("logged in", first, privacy.StateReady, "? ?a ?b")
					}
					l.set(map[string]string{"a": "deny", "c": "deny"})
					time.Sleep(time.Second) // everything is acknowledged
					s.Fail(errors.New("cut by the test"))
					if cfg.ClearOnDisconnect {
						expect("cut", "", privacy.StateUnknown, "")
					} else {
						expect("cut", first, privacy.StateReady, "")
					}
					must(t, s.Login(t.Context()))
					switch {
					case cfg.ClearOnDisconnect, !resume && cfg == (privacy.Config{}):
						expect("back", "*a(deny 1); c(deny 1)", privacy.StateReady, "? ?a ?c")
					case resume:
						expect("back", first, privacy.StateReady, "")
					case cfg.NoAutoRetrieveItems:
						expect("back", "*a; c", privacy.StateReady, "?")
					default: // the active list is gone with the session
						expect("back", "a(allow 1); b(deny 1)", privacy.StateUnknown, "")
					}
					e.take()
				})
			})
		}
	}
}

// TestFetchFails: what was known stays, whoever listens is told, and the work ends.
func TestFetchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, l, e := client(t, privacy.Config{})
		l.set(map[string]string{"a": "allow", "b": "deny"})
		must(t, s.Login(t.Context()))
		e.want(t, "fetched", "names(a,b); list(a: allow 1); list(b: deny 1)")
		again := func() {
			s.Disconnect()
			must(t, s.Login(t.Context()))
		}
		l.set(nil)
		again()
		time.Sleep(time.Minute)
		e.want(t, "no answer", "no names(timeout)")
		again()
		s.Disconnect()
		e.want(t, "disconnected", "no names(disconnected)")
		l.refuse = stanza.ServiceUnavailable
		must(t, s.Login(t.Context()))
		e.want(t, "unsupported", "no names(unsupported)")
		if p.State() != privacy.StateUnsupported || known(p) != "a(allow 1); b(deny 1)" {
			t.Error(p.State(), known(p))
		}
		l.refuse = ""
		l.set(map[string]string{"c": "allow"})
		again()
		e.want(t, "another server", "names(c); list(c: allow 1)")
	})
}

// TestActivate: the module comes and goes during a session. What was on its way is given up without a word.
func TestActivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, l, e := client(t, privacy.Config{})
		p.Deactivate()
		must(t, s.Login(t.Context()))
		e.want(t, "not active", "")
		must(t, p.Activate(s))
		if err := p.Activate(s); !errors.Is(err, xmpp.ErrModuleActive) {
			t.Errorf("activated twice: %v", err)
		}
		synctest.Wait()
		p.Deactivate()
		e.want(t, "given up", "")
		l.set(map[string]string{"a": "allow"})
		must(t, p.Activate(s))
		e.want(t, "fetched", "names(a); list(a: allow 1)")
		if err := privacy.New(privacy.Config{}).Activate(s); !errors.Is(err, xmpp.ErrHandlerExists) {
			t.Errorf("a second one: %v", err)
		}
	})
}

// TestOtherAccount: the lists of one account are not shown as those of another.
func TestOtherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, l, e := client(t, privacy.Config{})
		l.set(map[string]string{"a": "allow"})
		must(t, s.Login(t.Context()))
		e.want(t, "fetched", "names(a); list(a: allow 1)")
		s.Disconnect()
		p.Deactivate()
		srv := xmpptest.NewServer(t, xmpptest.WithDomain("other.test"), xmpptest.WithHandler(new(lister).handle))
		s2, err := xmpp.New(srv.Config("juliet"))
		must(t, err)
		t.Cleanup(s2.Disconnect)
		must(t, p.Activate(s2))
		must(t, s2.Login(t.Context()))
		synctest.Wait()
		if known(p) != "" {
			t.Error("the lists of another account:", known(p))
		}
	})
}

// TestInterceptor: a request that an interceptor has sent under another id is taken over all the same.
func TestInterceptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, l, e := client(t, privacy.Config{})
		s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
			iq = iq.Copy()
			iq.SetID("x" + iq.ID())
			return iq
		}})
		l.set(map[string]string{"a": "allow"})
		must(t, s.Login(t.Context()))
		e.want(t, "fetched", "names(a); list(a: allow 1)")
		if got := known(p); got != "*a(allow 1)" {
			t.Error(got)
		}
	})
}

// TestPushAndAnswer: a change that comes right behind an answer is not undone by it, however late the goroutine runs that has asked.
func TestPushAndAnswer(t *testing.T) {
	checkGoroutines(t)
	p, _, peer, _ := pair(t, manual)
	for i := range 100 {
		p.Clear()
		id := fmt.Sprintf("{late%d}", i)
		peer.While(func() {
			if _, err := p.Retrieve(t.Context(), "a"); kind(err) != "item-not-found" {
				t.Error(err)
			}
		}, "C: <iq type='get' id='"+id+"'><query xmlns='jabber:iq:privacy'><list name='a'/></query></iq>\n"+
			"S: <iq type='error' id='"+id+"'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"+strings.TrimPrefix(push("a"), "\nS: "))
		if got := known(p); got != "a" {
			t.Fatalf("%d: after a list that is not there was made: %q", i, got)
		}
		id = fmt.Sprintf("{names%d}", i)
		peer.While(func() { must(t, p.RetrieveNames(t.Context())) }, "C: <iq type='get' id='"+id+"'><query xmlns='jabber:iq:privacy'/></iq>\n"+
			"S: <iq type='result' id='"+id+"'><query xmlns='jabber:iq:privacy'/></iq>"+strings.TrimPrefix(push("b"), "\nS: "))
		if got := known(p); got != "b" {
			t.Fatalf("%d: after no names and a push: %q", i, got)
		}
	}
}

// TestDeactivateMeanwhile: an answer that comes after the module has gone changes nothing.
func TestDeactivateMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for answer, want := range map[string]string{
			"<iq type='result' id='{id}'><query xmlns='jabber:iq:privacy'><list name='x'/></query></iq>":                                      "<nil>",
			"<iq type='error' id='{id}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>": "unsupported",
		} {
			p, _, peer, e := pair(t, manual)
			done := make(chan error, 1)
			go func() { done <- p.RetrieveNames(t.Context()) }()
			id := stanza.AttrOr(peer.Next(), "id", "")
			p.Deactivate()
			peer.Inject(strings.ReplaceAll(answer, "{id}", id))
			if err := <-done; kind(err) != want {
				t.Errorf("%s: %v", want, err)
			}
			synctest.Wait()
			if known(p) != "" || p.State() != privacy.StateUnknown || strings.Contains(e.take(), "names(x)") {
				t.Errorf("%s: %s, %v", want, known(p), p.State())
			}
		}
	})
}

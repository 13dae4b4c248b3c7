package roster_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const montague = `
	<item jid='romeo@example.net' name='Romeo' subscription='both'><group>Friends</group><group>Family</group><group>Friends</group><group/></item>
	<item jid='mercutio@example.com' name='Mercutio' subscription='from'/>
	<item jid='benvolio@example.net/x' name='benvolio' subscription='to' approved='true'><group>Friends</group></item>
	<item jid='nurse@example.com' ask='subscribe'/>
	<item jid='juliet@example.test' name='Me' subscription='both'/>`

const montagueList = "benvolio=benvolio#Friends To approved, mercutio=Mercutio From, nurse None + Pending Out, romeo=Romeo#Family#Friends Both"

// TestFetch is RFC 6121 section 2.2: the roster is asked for by itself, ahead of presence, and told in one piece.
func TestFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t)
		peer := srv.Peer("juliet")
		x := newClient(t, srv.Config("juliet"), roster.Config{})
		if err := x.r.Wait(t.Context()); !errors.As(err, new(*xmpp.DisconnectedError)) {
			t.Errorf("Wait without a connection: %v", err)
		}
		must(t, x.Login(t.Context()))
		settle()
		x.e.want(t, "asked", "begin()")
		if x.r.HasRoster() || !x.r.IsPopulating() {
			t.Error("asked:", x.r.HasRoster(), x.r.IsPopulating())
		}
		if yes, known := x.r.SharesPresence(xmpp.MustParseJID("romeo@example.net")); yes || known {
			t.Error("SharesPresence without a roster:", yes, known)
		}
		if yes, known := x.r.IsContact(xmpp.MustParseJID("romeo@example.net")); yes || known {
			t.Error("IsContact without a roster:", yes, known)
		}
		peer.Play(`
			C: <iq id='{id}' type='get'><query xmlns='jabber:iq:roster'/></iq>
			C: <presence/>
			S: <iq id='{id}' type='result' to='{jid}'><query xmlns='jabber:iq:roster'>` + oneLine(montague) + `</query></iq>`)
		must(t, x.r.Wait(t.Context()))
		settle()
		x.e.want(t, "populated", "end(+benvolio=benvolio#Friends To approved, +mercutio=Mercutio From, +nurse None + Pending Out, +romeo=Romeo#Family#Friends Both)")
		wantList(t, "contacts", x.r, montagueList)
		if !x.r.HasRoster() || x.r.IsPopulating() || x.r.Len() != 4 || x.r.Version() != "" {
			t.Error("populated:", x.r.HasRoster(), x.r.IsPopulating(), x.r.Len(), x.r.Version())
		}
		for jid, want := range map[string]bool{
			"romeo@example.net": true, "romeo@example.net/x": true, "mercutio@example.com": true, "benvolio@example.net": false, "nurse@example.com": false,
			"paris@example.net": false, "juliet@example.test": true, "juliet@example.test/other": true,
		} {
			if yes, known := x.r.SharesPresence(xmpp.MustParseJID(jid)); yes != want || !known {
				t.Errorf("SharesPresence(%s): %v, %v", jid, yes, known)
			}
		}
		for jid, want := range map[string]bool{
			"romeo@example.net": true, "romeo@example.net/x": true, "mercutio@example.com": true, "benvolio@example.net": true, "nurse@example.com": false, "paris@example.net": false,
		} {
			if yes, known := x.r.IsContact(xmpp.MustParseJID(jid)); yes != want || !known {
				t.Errorf("IsContact(%s): %v, %v", jid, yes, known)
			}
		}
		if yes, known := x.r.IsContact(xmpp.JID{}); yes || known {
			t.Error("IsContact with nobody:", yes, known)
		}
		if yes, known := x.r.SharesPresence(xmpp.JID{}); yes || known {
			t.Error("SharesPresence with nobody:", yes, known)
		}
		if got := slices.Collect(x.r.Groups()); !slices.Equal(got, []string{"Family", "Friends"}) {
			t.Errorf("groups: %v", got)
		}
		if n := x.Stats().Unsolicited; n != 0 {
			t.Errorf("%d answers are taken for unsolicited", n)
		}
	})
}

// TestFetchByHand: with NoAutoFetch nothing is asked before Fetch; two Fetches are one request; another one asks again.
func TestFetchByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := play(t, roster.Config{NoAutoFetch: true}, versioning)
		settle()
		x.e.want(t, "not asked", "")
		if err := x.r.Wait(t.Context()); !errors.Is(err, roster.ErrNoRoster) {
			t.Errorf("Wait: %v", err)
		}
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- x.r.Fetch(t.Context()) }()
		}
		settle()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := x.r.Fetch(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Fetch that does not want to wait: %v", err)
		}
		peer.Play(`
			C: <iq id='{a}' type='get'><query xmlns='jabber:iq:roster' ver=''/></iq>
			S: <iq id='{a}' type='result'><query xmlns='jabber:iq:roster' ver='v1'><item jid='romeo@example.net'/></query></iq>`)
		must(t, errors.Join(<-results, <-results, x.r.Wait(t.Context())))
		peer.While(func() { must(t, x.r.Fetch(t.Context())) }, `
			C: <iq id='{b}' type='get'><query xmlns='jabber:iq:roster' ver='v1'/></iq>
			S: <iq id='{b}' type='result'/>`)
		wantList(t, "not modified", x.r, "romeo None")
		peer.While(func() { must(t, x.r.FetchWhole(t.Context())) }, `
			C: <iq id='{c}' type='get'><query xmlns='jabber:iq:roster' ver=''/></iq>
			S: <iq id='{c}' type='result'><query xmlns='jabber:iq:roster' ver='v2'/></iq>`)
		settle()
		wantList(t, "whole", x.r, "")
		x.e.want(t, "events", "begin(); end(+romeo None); begin(v1); end(); begin(); end(-romeo None)")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := x.r.Fetch(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Fetch with a ctx that has ended: %v", err)
		}
		x.r.Deactivate()
		for _, err := range []error{x.r.Fetch(t.Context()), x.r.Wait(t.Context()), x.r.Subscribe(t.Context(), x.MyJID())} {
			if !errors.Is(err, xmpp.ErrInvalidState) {
				t.Errorf("inactive: %v", err)
			}
		}
	})
}

// TestVersions is RFC 6121 section 2.6: what is known is asked for no more, and changes come as pushes.
func TestVersions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := roster.MemoryStorage()
		x, peer := play(t, roster.Config{Storage: store}, versioning)
		peer.Play(`
			C: <iq id='{a}' type='get'><query xmlns='jabber:iq:roster' ver=''/></iq>
			S: <iq id='{a}' type='result'><query xmlns='jabber:iq:roster' ver='v1'>` + oneLine(montague) + `</query></iq>`)
		must(t, x.r.Wait(t.Context()))
		must(t, x.r.Flush(t.Context()))
		stored(t, store, "v1: "+montagueList)

		// Another process.
		y, peer := play(t, roster.Config{Storage: store}, versioning)
		wantList(t, "from the storage", y.r, montagueList)
		peer.Play(`
			C: <iq id='{a}' type='get'><query xmlns='jabber:iq:roster' ver='v1'/></iq>
			S: <iq id='push1' type='set'><query xmlns='jabber:iq:roster' ver='v7'><item jid='nurse@example.com' name='Early'/></query></iq>
			C: <iq id='push1' type='result'/>`)
		settle()
		if v := y.r.Version(); v != "v1" {
			t.Errorf("version %q before the answer: if the process ended now, what is between them would be lost", v)
		}
		peer.Play(`
			S: <iq id='{a}' type='result'/>
			S: <iq id='push2' type='set'><query xmlns='jabber:iq:roster' ver='v2'><item jid='romeo@example.net' subscription='remove'/></query></iq>
			C: <iq id='push2' type='result'/>
			S: <iq id='push3' type='set'><query xmlns='jabber:iq:roster' ver='v3'><item jid='nurse@example.com' name='Nurse' subscription='to'/></query></iq>
			C: <iq id='push3' type='result'/>
			S: <iq id='push4' type='set'><query xmlns='jabber:iq:roster'><item jid='paris@example.com'/></query></iq>
			C: <iq id='push4' type='result'/>`)
		settle()
		const now = "benvolio=benvolio#Friends To approved, mercutio=Mercutio From, nurse=Nurse To, paris None"
		wantList(t, "changed", y.r, now)
		y.e.want(t, "events", "begin(v1); nurse None + Pending Out -> nurse=Early None; end(); -romeo=Romeo#Family#Friends Both; nurse=Early None -> nurse=Nurse To; +paris None")
		if y.r.Version() != "v3" {
			t.Errorf("version %q", y.r.Version())
		}
		if got := strings.Join(slices.Collect(y.r.Groups()), " "); got != "Friends" {
			t.Errorf("groups: %s", got)
		}
		must(t, y.r.Flush(t.Context()))
		stored(t, store, "v3: "+now)

		// The server does not know the version any more.
		z, peer := play(t, roster.Config{Storage: store}, versioning)
		peer.Play(`
			C: <iq id='{a}' type='get'><query xmlns='jabber:iq:roster' ver='v3'/></iq>
			S: <iq id='{a}' type='result'><query xmlns='jabber:iq:roster' ver='w1'><item jid='mercutio@example.com' name='Mercutio' subscription='from'/><item jid='nurse@example.com' subscription='to'/></query></iq>`)
		must(t, errors.Join(z.r.Wait(t.Context()), z.r.Flush(t.Context())))
		settle()
		z.e.want(t, "events", "begin(v3); end(-benvolio=benvolio#Friends To approved, -paris None, nurse=Nurse To -> nurse To)")
		stored(t, store, "w1: mercutio=Mercutio From, nurse To")

		// A server without versions: none is sent, and none stored.
		w, peer := play(t, roster.Config{Storage: store})
		peer.Play(`
			C: <iq id='{a}' type='get'><query xmlns='jabber:iq:roster'/></iq>
			S: <iq id='{a}' type='result'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com' subscription='to'/></query></iq>`)
		must(t, errors.Join(w.r.Wait(t.Context()), w.r.Flush(t.Context())))
		stored(t, store, ": nurse To")
	})
}

// stored looks at what a new process would find.
func stored(t *testing.T, s roster.Storage, want string) {
	t.Helper()
	srv := xmpptest.NewServer(t)
	stream, err := xmpp.New(srv.Config("juliet"))
	must(t, err)
	r := roster.New(roster.Config{Storage: s})
	must(t, r.Activate(stream))
	if got := r.Version() + ": " + list(r); got != want {
		t.Errorf("stored:\ngot  %q\nwant %q", got, want)
	}
	r.Deactivate()
}

// TestFetchFailure: errors, silence and nonsense are told, and what was known stays.
func TestFetchFailure(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		want         error
	}{
		{"an error", "<iq id='{a}' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", stanza.ItemNotFound},
		{"silence", "", xmpp.ErrIQTimeout},
		{"something else", "<iq id='{a}' type='result'><query xmlns='jabber:iq:version'/></iq>", roster.ErrBadRoster},
		{"two rosters", "<iq id='{a}' type='result'><query xmlns='jabber:iq:roster'/><query xmlns='jabber:iq:roster'/></iq>", roster.ErrBadRoster},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store := roster.MemoryStorage()
				must(t, store.Save(t.Context(), xmpp.MustParseJID("juliet@example.test"), "v1", slices.Values([]roster.Item{{JID: xmpp.MustParseJID("romeo@example.net")}})))
				x, peer := play(t, roster.Config{Storage: store}, versioning)
				start := time.Now()
				peer.While(func() {
					if err := x.r.Wait(t.Context()); !errors.Is(err, tt.want) {
						t.Errorf("Wait: %v", err)
					}
				}, "C: <iq id='{a}' type='get'><query xmlns='jabber:iq:roster' ver='v1'/></iq>\n"+prefix("S: ", tt.answer))
				if took := time.Since(start); tt.answer == "" && took != time.Minute {
					t.Errorf("silence for %v", took)
				}
				settle()
				if x.r.HasRoster() || x.r.IsPopulating() {
					t.Error("the roster passes for available")
				}
				if err := x.r.Wait(t.Context()); !errors.Is(err, tt.want) {
					t.Errorf("Wait: %v", err)
				}
				wantList(t, "what was known", x.r, "romeo None")
				if got := x.e.take(); !strings.HasPrefix(got, "begin(v1); not populated(") {
					t.Error(got)
				}
				inject(peer, "<iq id='{a}' type='result'><query xmlns='jabber:iq:roster'/></iq>") // too late
				wantList(t, "what was known", x.r, "romeo None")
				peer.While(func() { must(t, x.r.Fetch(t.Context())) }, `
					C: <iq id='{b}' type='get'><query xmlns='jabber:iq:roster' ver='v1'/></iq>
					S: <iq id='{b}' type='result'/>`)
				if !x.r.HasRoster() {
					t.Error("the second try has failed")
				}
			})
		})
	}
}

func prefix(p, s string) string {
	if s == "" {
		return ""
	}
	return p + s
}

// TestFetchLost: the connection is lost while the server is asked; the next session asks again.
func TestFetchLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := play(t, roster.Config{})
		waiting := make(chan error, 1)
		go func() { waiting <- x.r.Wait(t.Context()) }()
		peer.Expect("<iq id='{a}' type='get'><query xmlns='jabber:iq:roster'/></iq>")
		x.Disconnect()
		if err := <-waiting; !errors.As(err, new(*xmpp.DisconnectedError)) {
			t.Errorf("Wait: %v", err)
		}
		settle()
		x.e.want(t, "lost", "begin(); not populated(disconnected)")
		must(t, x.Login(t.Context()))
		settle()
		x.e.want(t, "again", "begin()")
		x.r.Deactivate()
		settle()
		if x.r.IsPopulating() {
			t.Error("a module that is not active is populating")
		}
	})
}

// TestActivate: the module comes during a session, and goes and comes again.
func TestActivate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		srv.AddAccount("juliet", "x")
		srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.net", Subscription: "both"})
		s := srv.Client(t, "juliet")
		r := roster.New(roster.Config{})
		must(t, r.Activate(s))
		if err := r.Activate(s); !errors.Is(err, xmpp.ErrModuleActive) {
			t.Errorf("activated twice: %v", err)
		}
		must(t, r.Wait(t.Context()))
		wantList(t, "activated during a session", r, "romeo Both")
		r.Deactivate()
		wantList(t, "deactivated", r, "romeo Both")
		if r.HasRoster() {
			t.Error("deactivated: HasRoster")
		}
		must(t, r.Activate(s))
		must(t, r.Wait(t.Context()))
		wantList(t, "activated again", r, "romeo Both")

		other := srv.Client(t, "mercutio")
		r.Deactivate()
		must(t, r.Activate(other))
		must(t, r.Wait(t.Context()))
		wantList(t, "on the stream of another account", r, "")
		if other := roster.New(roster.Config{}); !errors.Is(other.Activate(s), nil) {
			t.Error("the first stream is not free")
		}
	})
	bubble(t, func(t *testing.T) {
		s, _ := xmpptest.Pair(t)
		if _, err := s.HandleIQ(stanza.Set, roster.NS, "query", nil, func(context.Context, *xmpp.Stream, *stanza.IQ) {}); err != nil {
			t.Fatal(err)
		}
		r := roster.New(roster.Config{})
		if err := r.Activate(s); !errors.Is(err, xmpp.ErrHandlerExists) || r.Stream() != nil {
			t.Errorf("where pushes are somebody else's: %v", err)
		}
	})
}

// TestSkipUnsubscribed leaves out who has no subscription and was not asked, in a roster that is fetched.
func TestSkipUnsubscribed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{SkipUnsubscribed: true}, montague+"<item jid='paris@example.com' subscription='none'/>")
		wantList(t, "fetched", x.r, montagueList)
		inject(peer, "<iq id='p' type='set'><query xmlns='jabber:iq:roster'><item jid='paris@example.com' name='Paris'/></query></iq>")
		if c, ok := x.r.Contact(xmpp.MustParseJID("paris@example.com")); !ok || c.Name() != "Paris" {
			t.Errorf("pushed: %v, %v", c, ok)
		}
	})
}

func TestModule(t *testing.T) {
	r := roster.New(roster.Config{})
	if r.Name() != "roster" {
		t.Error(r.Name())
	}
	var _ xmpp.Module = r
	var _ xmpp.SubscriptionFinder = r
	var _ xmpp.AvatarKeeper = r
	xmpptest.CheckDelegate(t, r)
	xmpptest.CheckDelegate(t, new(events), roster.Delegate{})
}

package roster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
)

// real is an account on a real server.
type real struct {
	client
	cfg     xmpp.Config
	changed chan struct{}
}

// RosterDidChange wakes eventually.
func (x *real) RosterDidChange(context.Context, *roster.Roster) { x.wake() }

func (x *real) wake() {
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

func (x *real) RosterDidReceivePresenceSubscriptionRequest(_ context.Context, _ *roster.Roster, c roster.Contact, p *stanza.Presence) {
	x.e.note("request")
	x.wake()
}
func (x *real) RosterDidReceivePresenceSubscriptionAnswer(_ context.Context, _ *roster.Roster, c roster.Contact, p *stanza.Presence) {
	x.e.note("%s", p.Type())
	x.wake()
}

// newReal logs an account in with the module.
func newReal(t *testing.T, srv *integration.Server, cfg xmpp.Config, c roster.Config) *real {
	t.Helper()
	x := &real{cfg: cfg, changed: make(chan struct{}, 1)}
	x.r, x.e = roster.New(c), new(events)
	x.r.AddDelegate(roster.Delegate{Change: x, Population: x.e}, nil)
	x.r.AddDelegate(roster.Delegate{Subscription: x}, nil)
	x.Stream = srv.Login(t, cfg, func(s *xmpp.Stream) { must(t, x.r.Activate(s)) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, x.r.Wait(ctx))
	return x
}

func newAccount(t *testing.T, srv *integration.Server, c roster.Config) *real {
	t.Helper()
	return newReal(t, srv, srv.Config(srv.NewAccountAt(t, integration.Full)), c)
}

// eventually waits until what f returns is what it should be.
func (x *real) eventually(t *testing.T, what, want string, f func() string) {
	t.Helper()
	end := time.After(10 * time.Second)
	for {
		got := f()
		if got == want {
			return
		}
		select {
		case <-x.changed:
		case <-time.After(100 * time.Millisecond): // Len and Requests change without a contact
		case <-end:
			t.Fatalf("%s: %s, want %s", what, got, want)
		}
	}
}

// population waits for the end of a fetch, and returns what was heard of it.
func (x *real) population(t *testing.T) (heard string) {
	t.Helper()
	x.eventually(t, "the roster", "there", func() string {
		if more := x.e.take(); heard == "" || more == "" {
			heard += more
		} else {
			heard += "; " + more
		}
		if strings.Contains(heard, "end(") {
			return "there"
		}
		return heard
	})
	return heard
}

// state is where somebody stands, who need not be a contact.
func (x *real) state(jid xmpp.JID) string {
	if c, ok := x.r.Contact(jid); ok {
		return c.State().String()
	}
	for q := range x.r.Requests() {
		if q.JID == jid.Bare() {
			return roster.StateNonePendingIn.String()
		}
	}
	return roster.StateNone.String()
}

// TestIntegration fills a roster on a real server, and follows it on two clients, over sessions and versions.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		store := roster.MemoryStorage()
		x := newAccount(t, srv, roster.Config{Storage: store})
		y := newReal(t, srv, x.cfg, roster.Config{}) // another client of the account
		if x.r.Len() != 0 {
			t.Errorf("a new account has %d contacts", x.r.Len())
		}
		x.eventually(t, "the other client", y.MyJID().Resource(), func() string {
			var out []string
			for r := range x.r.OtherResources() {
				out = append(out, r.String())
			}
			return strings.Join(out, " ")
		})
		contact := func(n int) xmpp.JID { return xmpp.MustParseJID(fmt.Sprintf("c%d@%s", n, integration.Full)) }
		for n := range 5 {
			must(t, x.r.Set(ctx, contact(n), fmt.Sprintf("Contact <%d>", n), "All", fmt.Sprint("Group ", n%2)))
			if c, ok := x.r.Contact(contact(n)); !ok || c.Name() != fmt.Sprintf("Contact <%d>", n) {
				t.Errorf("Set has returned and %v shows", c)
			}
		}
		must(t, errors.Join(x.r.SetName(ctx, contact(1), "Renamed"), x.r.SetGroups(ctx, contact(2)), x.r.Remove(ctx, contact(3))))
		want := list(x.r)
		if n := strings.Count(want, "c"); n < 4 {
			t.Errorf("the roster: %s", want)
		}
		for _, part := range []string{"c0=Contact <0>#All#Group 0 None", "c1=Renamed#All#Group 1 None", "c2=Contact <2> None"} {
			if !strings.Contains(want, part) {
				t.Errorf("%q is not in the roster: %s", part, want)
			}
		}
		y.eventually(t, "the other client", want, func() string { return list(y.r) })
		if err := x.r.Set(ctx, contact(0), strings.Repeat("x", 5000)); err == nil {
			t.Log("a name of 5,000 bytes is not too long for this server")
			must(t, x.r.SetName(ctx, contact(0), "Contact <0>"))
		} else if se := (*stanza.Error)(nil); !errors.As(err, &se) {
			t.Errorf("a name of 5,000 bytes: %v", err)
		}
		switch err := x.r.Remove(ctx, contact(77)); {
		case errors.Is(err, stanza.ItemNotFound), err == nil:
			t.Logf("Remove of who is not there: %v", err)
		default:
			t.Errorf("Remove of who is not there: %v", err)
		}
		must(t, x.r.Flush(ctx))

		// The next session knows the version; what has changed meanwhile comes as pushes.
		if x.r.Version() == "" {
			t.Error("the server gives no versions")
		}
		version := x.r.Version()
		must(t, x.Close(ctx))
		must(t, y.r.SetName(ctx, contact(2), "Changed meanwhile"))
		must(t, y.r.Remove(ctx, contact(4)))
		want = list(y.r)
		z := newReal(t, srv, x.cfg, roster.Config{Storage: store})
		z.eventually(t, "the next process", want, func() string { return list(z.r) })
		if heard := z.population(t); !strings.HasPrefix(heard, "begin("+version+"); end(") {
			t.Errorf("the next process: %s", heard)
		} else {
			t.Logf("what has changed meanwhile comes by %s", map[bool]string{true: "pushes", false: "a whole roster"}[strings.HasPrefix(heard, "begin("+version+"); end()")])
		}
		must(t, z.r.Fetch(ctx))
		if heard := z.population(t); !strings.HasSuffix(heard, "end()") {
			t.Errorf("fetched again: %s", heard)
		}
		must(t, z.r.FetchWhole(ctx))
		if heard := z.population(t); !strings.HasSuffix(heard, "end()") || list(z.r) != want {
			t.Errorf("fetched whole: %s", heard)
		}
		must(t, errors.Join(y.Close(ctx), z.Close(ctx)))
	})
}

// TestIntegrationStates goes through the states of RFC 6121 appendix A with two accounts of a real server, and looks at both rosters after each step.
func TestIntegrationStates(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		c := roster.Config{AutoAccept: roster.AcceptNobody}
		a, b := newAccount(t, srv, c), newAccount(t, srv, c)
		seen := map[string]bool{}
		const (
			none, noneOut, noneIn, noneOutIn = "None", "None + Pending Out", "None + Pending In", "None + Pending Out+In"
			to, toIn, from, fromOut, both    = "To", "To + Pending In", "From", "From + Pending Out", "Both"
		)
		// ejabberd does not tell that a request was taken back (section 3.3.3), nor that None + Pending In is reached from To + Pending In.
		// The older one ends both directions where unsubscribed should end one (section 3.2.1).
		withdrawn, untold, revoked, removed := none, noneIn, to, none
		switch srv.Kind {
		case integration.Ejabberd:
			withdrawn, untold, revoked, removed = noneIn, toIn, none, from
		case integration.Ejabberd26:
			withdrawn, untold = noneIn, toIn
		}
		for i, tt := range []struct {
			who  string
			what string
			a, b string
		}{
			{"a", "subscribe", noneOut, noneIn},
			{"a", "unsubscribe", none, withdrawn},
			{"a", "subscribe", noneOut, noneIn},
			{"b", "subscribe", noneOutIn, noneOutIn},
			{"b", "accept", toIn, fromOut},
			{"a", "accept", both, both},
			{"a", "unsubscribe", from, to},
			{"a", "subscribe", fromOut, toIn},
			{"-", "reject", from, to},
			{"a", "subscribe", fromOut, toIn},
			{"b", "accept", both, both},
			{"b", "unsubscribe", to, from},
			{"a", "unsubscribe", none, none},
			{"a", "subscribe", noneOut, noneIn},
			{"b", "reject", none, none},
			{"b", "subscribe", noneIn, noneOut},
			{"a", "accept", from, to},
			{"a", "revoke", none, none},
			{"a", "subscribe", noneOut, noneIn},
			{"b", "subscribe", noneOutIn, noneOutIn},
			{"a", "accept", fromOut, toIn},
			{"a", "unsubscribe", from, to},
			{"a", "subscribe", fromOut, toIn},
			{"b", "unsubscribe", noneOut, untold},
			{"b", "accept", to, from},
			{"b", "subscribe", toIn, fromOut},
			{"a", "accept", both, both},
			{"b", "revoke", from, revoked},
			{"b", "remove", removed, none},
		} {
			if tt.who == "-" && revoked == none {
				continue
			}
			me, other := a, b
			if tt.who != "a" { // b, or, if the server can do that, b
				me, other = b, a
			}
			f := map[string]func(context.Context, xmpp.JID) error{
				"subscribe": func(ctx context.Context, j xmpp.JID) error { return me.r.Subscribe(ctx, j) },
				"accept":    me.r.Accept, "unsubscribe": me.r.Unsubscribe, "reject": me.r.Reject, "revoke": me.r.Revoke, "remove": me.r.Remove,
			}[tt.what]
			must(t, f(ctx, other.MyJID()))
			step := fmt.Sprintf("step %d, %s does %s", i+1, tt.who, tt.what)
			a.eventually(t, step+": a", tt.a, func() string { return a.state(b.MyJID()) })
			b.eventually(t, step+": b", tt.b, func() string { return b.state(a.MyJID()) })
			seen[tt.a], seen[tt.b] = true, true
		}
		if len(seen) != 9 {
			t.Errorf("%d of 9 states", len(seen))
		}
		t.Logf("a heard: %s", a.e.take())
	})
}

// TestIntegrationPresence: two become friends by the automatic means, see each other, and lose sight of each other.
func TestIntegrationPresence(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		a, b := newAccount(t, srv, roster.Config{}), newAccount(t, srv, roster.Config{})
		must(t, a.r.Add(ctx, b.MyJID(), "B", "Friends"))
		b.eventually(t, "b is asked", "None + Pending In", func() string { return b.state(a.MyJID()) })
		must(t, b.r.AcceptAndAdd(ctx, a.MyJID(), "A")) // a accepts by itself, since b is in its roster
		for _, x := range []*real{a, b} {
			other := map[*real]*real{a: b, b: a}[x]
			x.eventually(t, "friends", "Both online", func() string {
				c, _ := x.r.Contact(other.MyJID())
				return c.State().String() + map[bool]string{true: " online"}[c.IsOnline()]
			})
			if yes, known := x.r.SharesPresence(other.MyJID()); !yes || !known {
				t.Error("SharesPresence:", yes, known)
			}
		}
		p := stanza.NewPresence(stanza.Available, xmpp.JID{})
		p.SetShow(stanza.ShowAway)
		p.SetStatus("out <for> lunch")
		p.SetPriority(7)
		must(t, b.Send(ctx, p))
		see := func() string {
			c, _ := a.r.Contact(b.MyJID())
			r, ok := c.Resource(b.MyJID())
			if !ok {
				return "nothing"
			}
			return c.Section().String() + " " + showResource(r)
		}
		a.eventually(t, "away", "away "+b.MyJID().Resource()+"(7 away out <for> lunch)", see)

		// A new session finds the others as they are.
		a.Disconnect()
		a.eventually(t, "over", "nothing", see)
		must(t, a.Login(ctx))
		a.eventually(t, "a new session", "away "+b.MyJID().Resource()+"(7 away out <for> lunch)", see)
		gone := stanza.NewPresence(stanza.Unavailable, xmpp.JID{})
		gone.SetStatus("good night")
		must(t, b.Send(ctx, gone))
		a.eventually(t, "gone", "nothing", see)
		if c, _ := a.r.Contact(b.MyJID()); c.LastStatus() != "good night" || c.IsOnline() {
			t.Errorf("gone: %q", c.LastStatus())
		}
		must(t, b.Send(ctx, stanza.NewPresence(stanza.Available, xmpp.JID{})))
		a.eventually(t, "back", "available "+b.MyJID().Resource()+"(0  )", see)
		must(t, b.r.Revoke(ctx, a.MyJID()))
		a.eventually(t, "not to be seen", "nothing", see)
		must(t, a.r.Remove(ctx, b.MyJID()))
		b.eventually(t, "removed", "None", func() string { return b.state(a.MyJID()) })
		must(t, errors.Join(a.Close(ctx), b.Close(ctx)))
	})
}

// TestIntegrationPreApproval: who is approved before they ask is accepted by the server.
func TestIntegrationPreApproval(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		a, b := newAccount(t, srv, roster.Config{}), newAccount(t, srv, roster.Config{})
		err := a.r.PreApprove(ctx, b.MyJID())
		if !srv.Kind.Has(integration.PreApproval) {
			if !errors.Is(err, roster.ErrNoPreApproval) {
				t.Errorf("a server without it: %v", err)
			}
			return
		}
		must(t, err)
		told := func() bool { // after the next answer the server has done it
			must(t, a.r.FetchWhole(ctx))
			c, _ := a.r.Contact(b.MyJID())
			return c.Approved()
		}
		shows := told()
		t.Logf("the server shows it: %v", shows)
		must(t, a.r.Revoke(ctx, b.MyJID()))
		if told() {
			t.Error("it was taken back, and shows still")
		}
		must(t, a.r.PreApprove(ctx, b.MyJID()))
		if told() != shows {
			t.Error("it shows once, and once not")
		}
		must(t, b.r.Subscribe(ctx, a.MyJID()))
		b.eventually(t, "accepted", "To", func() string { return b.state(a.MyJID()) })
		a.eventually(t, "accepted", "From", func() string { return a.state(b.MyJID()) })
		if heard := a.e.take(); strings.Contains(heard, "request") {
			t.Errorf("the user was asked: %s", heard)
		}
	})
}

// TestSec_ORG04Real sends the forgeries through real servers, some of which deliver them.
func TestSec_ORG04Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		victim := newAccount(t, srv, roster.Config{})
		must(t, victim.r.Set(ctx, paris, "Paris"))
		evil := srv.Client(t)
		elsewhere := newReal(t, srv, victim.cfg, roster.Config{}) // the own other resource
		delivered := make(chan string, 100)
		victim.AddDelegate(xmpp.Delegate{IQ: xmpp.IQFunc(func(context.Context, *xmpp.Stream, *stanza.IQ) bool { return false })})
		victim.AddInterceptor(xmpp.Interceptor{WillReceiveIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
			if iq.IsSet() && !iq.From().IsZero() {
				delivered <- iq.From().String()
			}
			return iq
		}})
		for _, from := range []*xmpp.Stream{evil, elsewhere.Stream} {
			for _, item := range []string{
				"<item jid='evil@example.com' name='Evil' subscription='both'/>", "<item jid='paris@example.com' subscription='remove'/>",
			} {
				payload, err := stanza.ParseElement("<query xmlns='jabber:iq:roster' ver='v9'>" + item + "</query>")
				must(t, err)
				_, err = from.SendIQ(ctx, stanza.NewIQ(stanza.Set, victim.MyJID(), stanza.Raw(payload)))
				if se := (*stanza.Error)(nil); !errors.As(err, &se) {
					t.Errorf("%v sends %s: %v", from.MyJID(), item, err)
				}
				result := stanza.NewIQ(stanza.Result, victim.MyJID(), stanza.Raw(payload))
				must(t, from.Send(ctx, result))
			}
			must(t, from.Send(ctx, stanza.NewPresence(stanza.Subscribe, victim.MyJID().Bare())))
		}
		victim.eventually(t, "the stranger asks", "None + Pending In", func() string { return victim.state(evil.MyJID()) }) // behind the rest
		wantList(t, "after the forgeries", victim.r, "paris=Paris None")
		close(delivered)
		n := 0
		for range delivered {
			n++
		}
		t.Logf("%d of 4 forged pushes were delivered", n)
		if slices.Collect(victim.r.Requests())[0].JID != evil.MyJID().Bare() {
			t.Error("somebody else asks")
		}
		must(t, victim.r.FetchWhole(ctx))
		wantList(t, "what the server has", victim.r, "paris=Paris None")
	})
}

package lastactivity_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/lastactivity"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// friends is a module that knows who sees the user's presence.
type friends struct {
	xmpp.ModuleBase
	names string
	known bool
}

func (f *friends) Name() string                  { return "friends" }
func (f *friends) Activate(s *xmpp.Stream) error { return f.Attach(s, f, nil) }
func (f *friends) SharesPresence(with xmpp.JID) (yes, known bool) {
	return with.IsBare() && with.Local() == f.names, f.known
}

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T, cfg lastactivity.Config, modules ...xmpp.Module) (*lastactivity.LastActivity, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	l := lastactivity.New(cfg)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		for _, m := range append(modules, l) {
			if err := m.Activate(s); err != nil {
				t.Fatal(err)
			}
		}
	})
	return l, s, peer
}

const (
	refused   = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	forbidden = "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
)

// question is one from somebody, with its answer.
func question(id, from, want string) string {
	if !strings.HasPrefix(want, "<error") {
		return "S: <iq from='" + from + "' id='" + id + "' type='get'><query xmlns='jabber:iq:last'/></iq>\n" +
			"C: <iq to='" + from + "' id='" + id + "' type='result'><query xmlns='jabber:iq:last' seconds='" + want + "'/></iq>\n"
	}
	return "S: <iq from='" + from + "' id='" + id + "' type='get'><query xmlns='jabber:iq:last'/></iq>\n" +
		"C: <iq to='" + from + "' id='" + id + "' type='error'>" + want + "</iq>\n"
}

// TestAnswer is XEP-0012 section 3: seconds for those who may know (section 8), from the application or since it has sent something.
func TestAnswer(t *testing.T) {
	const romeo, mallory, self, other = "romeo@example.test/orchard", "mallory@example.test/x", "example.test", "juliet@example.test/chamber"
	constant := func(d time.Duration) func(context.Context, xmpp.JID, time.Duration) time.Duration {
		return func(context.Context, xmpp.JID, time.Duration) time.Duration { return d }
	}
	for _, tt := range []struct {
		name string
		cfg  lastactivity.Config
		with *friends
		want map[string]string
	}{
		{"a contact", lastactivity.Config{}, &friends{names: "romeo", known: true}, map[string]string{romeo: "90", mallory: forbidden, self: forbidden, other: "90"}},
		{"no roster yet", lastactivity.Config{}, &friends{names: "romeo"}, map[string]string{romeo: forbidden, other: "90"}},
		{"no roster at all", lastactivity.Config{}, nil, map[string]string{romeo: forbidden, mallory: forbidden, other: "90"}},
		{"the application decides", lastactivity.Config{Allow: func(j xmpp.JID) bool { return j.Local() == "mallory" }}, &friends{names: "romeo", known: true}, map[string]string{romeo: forbidden, mallory: "90", other: forbidden}},
		{"the application knows", lastactivity.Config{Idle: func(_ context.Context, from xmpp.JID, sent time.Duration) time.Duration {
			return sent + time.Duration(len(from.Local()))*time.Second + 999*time.Millisecond
		}}, &friends{names: "romeo", known: true}, map[string]string{romeo: "95", other: "96", mallory: forbidden}},
		{"less than nothing", lastactivity.Config{Idle: constant(-time.Hour)}, nil, map[string]string{other: "0"}},
		{"long", lastactivity.Config{Idle: constant(math.MaxInt64)}, nil, map[string]string{other: "9223372036"}},
		{"no answer", lastactivity.Config{NoAnswer: true}, &friends{names: "romeo", known: true}, map[string]string{romeo: refused, other: refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var modules []xmpp.Module
				if tt.with != nil {
					modules = append(modules, tt.with)
				}
				l, _, peer := pair(t, tt.cfg, modules...)
				time.Sleep(90 * time.Second)
				for from, want := range tt.want {
					peer.Play(question(from[:3], from, want))
				}
				peer.Play("S: <iq from='" + other + "' id='set' type='set'><query xmlns='jabber:iq:last'/></iq>\nC: <iq to='" + other + "' id='set' type='error'>" + refused + "</iq>")
				if features := strings.Join(l.Features(), " "); (features == "jabber:iq:last") == tt.cfg.NoAnswer {
					t.Errorf("features: %q", features)
				}
				l.Deactivate()
				peer.Play(question("off", other, refused))
			})
		})
	}
}

// TestIdle: what counts as something that the application has sent.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		s, err := xmpp.New(srv.Config("juliet"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Disconnect)
		l := lastactivity.New(lastactivity.Config{})
		if l.Idle() != 0 {
			t.Error("idle before it is active:", l.Idle())
		}
		if err := errors.Join(l.Activate(s)); err != nil {
			t.Fatal(err)
		}
		last := time.Now()
		check := func(what string, counts bool) {
			t.Helper()
			if counts {
				last = time.Now()
			}
			if got, want := l.Idle(), time.Since(last); got != want {
				t.Errorf("%s: idle for %v, want %v", what, got, want)
			}
		}
		step := func(what string, counts bool, ctx context.Context, e stanza.Elementer) {
			t.Helper()
			time.Sleep(time.Minute)
			if err := s.Send(ctx, e); err != nil {
				t.Fatal(what, err)
			}
			check(what, counts)
		}
		time.Sleep(time.Minute)
		check("not connected", false)
		login := func() {
			t.Helper()
			if err := s.Login(t.Context()); err != nil {
				t.Fatal(err)
			}
			check("the login", false)
		}
		login()
		ctx, romeo := t.Context(), srv.JID("romeo")
		receipt := stanza.NewMessage(stanza.Chat, romeo, "")
		receipt.C("received", "urn:xmpp:receipts").A("id", "x")
		step("a message", true, ctx, stanza.NewMessage(stanza.Chat, romeo, "hi"))
		step("presence", true, ctx, stanza.NewPresence(stanza.Available, xmpp.JID{}))
		step("directed presence", true, ctx, stanza.NewPresence(stanza.Available, romeo))
		step("an error", false, ctx, stanza.NewMessage(stanza.ErrorMessage, romeo, ""))
		step("an error", false, ctx, stanza.NewPresence(stanza.ErrorPresence, romeo))
		step("a receipt", false, ctx, receipt)
		step("a request", false, ctx, stanza.NewIQ(stanza.Get, srv.Domain(), stanza.New("ping", "urn:xmpp:ping")))
		step("of a module's own accord", false, xmpp.ByModule(ctx), stanza.NewMessage(stanza.Chat, romeo, "hi"))
		time.Sleep(time.Minute)
		if err := s.ResendMyPresence(ctx); err != nil {
			t.Fatal(err)
		}
		check("presence sent again", false)
		s.Disconnect()
		time.Sleep(time.Hour)
		login()
		step("the second broadcast", true, ctx, stanza.NewPresence(stanza.Available, xmpp.JID{}))
		l.Deactivate()
		time.Sleep(time.Hour)
		if err := l.Activate(s); err != nil {
			t.Fatal(err)
		}
		check("activated again", true)
	})
}

// TestQuery asks all three that can be asked; the server is a real one, inside the test.
func TestQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		time.Sleep(time.Hour)
		l, hers := lastactivity.New(lastactivity.Config{}), lastactivity.New(lastactivity.Config{})
		s := srv.Client(t, "juliet")
		romeo := srv.Client(t, "romeo")
		if err := errors.Join(l.Activate(s), hers.Activate(romeo), (&friends{names: "juliet", known: true}).Activate(romeo)); err != nil {
			t.Fatal(err)
		}
		srv.AddContact("romeo", xmpptest.Contact{JID: "juliet@example.test", Subscription: "from"})
		ask := func(jid xmpp.JID, want string) {
			t.Helper()
			a, err := l.Query(t.Context(), jid)
			got := fmt.Sprintf("%v %v %v %q", a.JID, a.Meaning(), a.Ago, a.Status)
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %s, want %s", jid, got, want)
			}
		}
		time.Sleep(30*time.Minute + 500*time.Millisecond)
		full := romeo.MyJID()
		ask(xmpp.JID{}, `example.test 2 1h30m0s ""`)
		ask(srv.Domain(), `example.test 2 1h30m0s ""`)
		ask(full.Bare(), `romeo@example.test 1 0s ""`)
		ask(full, full.String()+` 0 30m0s ""`)
		ask(s.MyJID().Bare(), `juliet@example.test 1 0s ""`)
		if err := romeo.Send(t.Context(), stanza.NewMessage(stanza.Chat, s.MyJID(), "hi")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		ask(full, full.String()+` 0 5s ""`)
		bye := stanza.NewPresence(stanza.Unavailable, xmpp.JID{})
		bye.SetStatus("Heading <home>")
		if err := romeo.Send(t.Context(), bye); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(903 * time.Second)
		ask(full.Bare(), `romeo@example.test 1 15m3s "Heading <home>"`)
		if _, err := hers.Query(t.Context(), s.MyJID()); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("of one who does not let him: %v", err)
		}
		if _, err := hers.Query(t.Context(), s.MyJID().Bare()); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("of an account that does not let him: %v", err)
		}

		// LAST-01: without a deadline it ends after 30 s.
		srv.Freeze(s.MyJID(), true)
		start := time.Now()
		if _, err := l.Query(t.Context(), xmpp.JID{}); !errors.Is(err, xmpp.ErrIQTimeout) || time.Since(start) != 30*time.Second {
			t.Errorf("no answer: %v after %v", err, time.Since(start))
		}
		srv.Freeze(s.MyJID(), false)
		l.Deactivate()
		if _, err := l.Query(t.Context(), xmpp.JID{}); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("not active: %v", err)
		}
	})
}

// TestHelpers makes and reads the elements (LAST-03).
func TestHelpers(t *testing.T) {
	romeo := xmpp.MustParseJID("romeo@example.test/orchard")
	q := lastactivity.NewQuery(romeo)
	if q.To() != romeo || !lastactivity.IsQuery(q) || lastactivity.IsQuery(lastactivity.NewResponse(q, 0, "")) || lastactivity.IsQuery(stanza.NewIQ(stanza.Get, romeo, stanza.New("query", "urn:x"))) {
		t.Errorf("the question: %v", stanza.Compact(q.Element()))
	}
	for _, tt := range []struct {
		ago    time.Duration
		status string
		want   time.Duration
	}{
		{0, "", 0}, {-1, "", 0}, {time.Second - 1, "", 0}, {903*time.Second + 5, "Heading Home", 903 * time.Second}, {math.MaxInt64, "", math.MaxInt64 / time.Second * time.Second},
	} {
		a, err := lastactivity.Parse(lastactivity.NewResponse(q, tt.ago, tt.status))
		if err != nil || a.Ago/time.Second != tt.want/time.Second || a.Status != tt.status || a.JID != romeo {
			t.Errorf("%v, %q: %+v, %v", tt.ago, tt.status, a, err)
		}
	}
	if f := lastactivity.Forbidden(q); !errors.Is(f.Err(), stanza.Forbidden) || f.ID() != q.ID() {
		t.Error(stanza.Compact(f.Element()))
	}
	if r := lastactivity.NewResponse(q, 0, ""); lastactivity.NewResponse(r, 0, "") != nil || lastactivity.Forbidden(r) != nil {
		t.Error("an answer is answered")
	}
	if _, err := lastactivity.Parse(q); !errors.Is(err, lastactivity.ErrAnswer) {
		t.Errorf("a question as an answer: %v", err)
	}
}

// TestSec_DAT01: seconds from others are refused or borne.
func TestSec_DAT01(t *testing.T) {
	read := func(payload string) (lastactivity.Activity, error) {
		t.Helper()
		st, err := stanza.Parse("<iq xmlns='jabber:client' type='result' id='1' from='romeo@example.test'>" + payload + "</iq>")
		if err != nil {
			t.Fatal(err)
		}
		return lastactivity.Parse(st.(*stanza.IQ))
	}
	for _, bad := range []string{
		"", "<query xmlns='urn:x' seconds='1'/>", "<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:last' xmlns:q='urn:x' q:seconds='1'/>",
		"<query xmlns='jabber:iq:last' seconds=''/>", "<query xmlns='jabber:iq:last' seconds='-1'/>", "<query xmlns='jabber:iq:last' seconds='-99999999999999999999999'/>",
		"<query xmlns='jabber:iq:last' seconds='1.5'/>", "<query xmlns='jabber:iq:last' seconds='1e9'/>", "<query xmlns='jabber:iq:last' seconds='0x10'/>", "<query xmlns='jabber:iq:last' seconds='NaN'/>",
		"<query xmlns='jabber:iq:last' seconds='１'/>",
	} {
		if a, err := read(bad); !errors.Is(err, lastactivity.ErrAnswer) || a != (lastactivity.Activity{}) {
			t.Errorf("%s: %+v, %v", bad, a, err)
		}
	}
	for s, want := range map[string]time.Duration{
		"0": 0, "007": 7 * time.Second, "9223372035": 9223372035 * time.Second, "9223372037": math.MaxInt64, "9223372036854775807": math.MaxInt64,
		"99999999999999999999999999": math.MaxInt64, strings.Repeat("9", 1<<16): math.MaxInt64,
	} {
		if a, err := read("<query xmlns='jabber:iq:last' seconds='" + s + "'/>"); err != nil || a.Ago != want {
			t.Errorf("%.40s: %+v, %v, want %v", s, a, err, want)
		}
	}
}

func TestModule(t *testing.T) {
	l := lastactivity.New(lastactivity.Config{})
	if l.Name() != "lastactivity" {
		t.Error(l.Name())
	}
	var _ xmpp.FeatureProvider = l
	s, _ := xmpptest.Pair(t)
	if _, err := s.HandleIQ(stanza.Get, lastactivity.NS, "query", nil, func(context.Context, *xmpp.Stream, *stanza.IQ) {}); err != nil {
		t.Fatal(err)
	}
	if err := l.Activate(s); !errors.Is(err, xmpp.ErrHandlerExists) || l.Stream() != nil {
		t.Errorf("with a handler before it: %v", err)
	}
}

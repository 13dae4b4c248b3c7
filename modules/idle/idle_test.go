package idle_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/idle"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// rig is a client and what its server hears of its presence.
type rig struct {
	t   *testing.T
	srv *xmpptest.Server
	i   *idle.Idle
	s   *xmpp.Stream

	mu    sync.Mutex
	heard []string
}

func newRig(t *testing.T, cfg idle.Config, change ...func(*xmpp.Config)) *rig {
	t.Helper()
	r := &rig{t: t, i: idle.New(cfg)}
	r.srv = xmpptest.NewServer(t, xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, _ func(string)) bool {
		if st, err := stanza.From(e); err == nil && st.Name() == "presence" {
			p := st.(*stanza.Presence)
			text := strings.TrimSpace(string(p.Type()) + " " + p.Status())
			if since, ok := p.IdleSince(); ok {
				text += " idle " + time.Since(since).String()
			}
			r.mu.Lock()
			r.heard = append(r.heard, strings.TrimSpace(text))
			r.mu.Unlock()
		}
		return false
	}))
	c := r.srv.Config("juliet")
	for _, f := range change {
		f(&c)
	}
	s, err := xmpp.New(c)
	if err == nil {
		err = r.i.Activate(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	t.Cleanup(s.Disconnect)
	return r
}

func (r *rig) login() {
	r.t.Helper()
	if err := r.s.Login(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) send(p *stanza.Presence) {
	r.t.Helper()
	if err := r.s.Send(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
}

// want compares the presence that the server has heard since the last call.
func (r *rig) want(what string, want ...string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strings.Join(r.heard, "; "); got != strings.Join(want, "; ") {
		r.t.Errorf("%s: heard %q, want %q", what, got, want)
	}
	r.heard = nil
}

func presence(status string) *stanza.Presence {
	p := stanza.NewPresence(stanza.Available, xmpp.JID{})
	p.SetStatus(status)
	return p
}

// TestTranscript is XEP-0319 section 2 on the wire.
func TestTranscript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := idle.New(idle.Config{})
		s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
			if err := i.Activate(s); err != nil {
				t.Fatal(err)
			}
		})
		since := time.Now()
		time.Sleep(10 * time.Minute)
		away := presence("")
		away.SetShow(stanza.ShowAway)
		if err := s.Send(t.Context(), away); err != nil {
			t.Fatal(err)
		}
		peer.Expect("<presence><show>away</show></presence>")
		i.SetIdle(since)
		peer.Expect("<presence><show>away</show><idle xmlns='urn:xmpp:idle:1' since='" + datetime.Format(since) + "'/></presence>")
		i.SetActive()
		peer.Expect("<presence><show>away</show></presence>")
		if away.Child("idle", idle.NS) != nil {
			t.Error("the application's stanza was changed")
		}
	})
}

// TestResend: presence is sent again once for several changes, after the delay, and not if it says already what is so.
func TestResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, idle.Config{})
		r.login()
		r.want("the login", "")
		start := time.Now()
		r.i.SetIdle(start)
		r.i.SetActive()
		r.i.SetIdle(start)
		time.Sleep(499 * time.Millisecond)
		r.want("too early")
		time.Sleep(time.Millisecond)
		r.want("three changes", "idle 500ms")
		r.i.SetIdle(start.Add(59 * time.Second))
		r.i.SetIdle(start.Add(-59 * time.Second))
		time.Sleep(time.Minute)
		r.want("nearly the same")
		if since, is := r.i.Since(); !is || !since.Equal(start) {
			t.Errorf("Since: %v, %v", since, is)
		}
		r.i.SetIdle(start.Add(-time.Hour))
		time.Sleep(500 * time.Millisecond)
		r.want("another moment", "idle 1h1m1s")
		r.i.SetActive()
		r.send(presence("back"))
		time.Sleep(time.Hour)
		r.want("presence that the application sends anyway", "back")
		r.i.SetActive()
		time.Sleep(time.Hour)
		r.want("active already")
		r.i.SetIdle(time.Time{})
		time.Sleep(time.Second)
		r.want("now", "back idle 500ms")
		r.i.SetActive()
		r.i.SetIdle(time.Now().Add(time.Hour))
		time.Sleep(500 * time.Millisecond)
		r.want("later than now", "back idle 500ms")

		// What is for somebody alone, and what is no presence of this kind, says nothing of it.
		romeo := r.srv.JID("romeo")
		r.send(stanza.NewPresence(stanza.Available, romeo))
		r.send(stanza.NewPresence(stanza.Subscribe, romeo))
		r.send(stanza.NewPresence(stanza.Unavailable, xmpp.JID{}))
		r.want("others", "", "subscribe", "unavailable")
		r.i.SetActive()
		time.Sleep(time.Hour)
		r.want("not available")
		r.i.SetIdle(time.Now())
		time.Sleep(time.Hour)
		r.send(presence("again"))
		r.want("available again", "again idle 1h0m0s")

		r.i.Deactivate()
		r.want("deactivated", "again")
		r.i.SetIdle(time.Now())
		time.Sleep(time.Second)
		r.send(presence("off"))
		r.want("while it is off", "off")
		if err := r.i.Activate(r.s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.want("what was said before", "off idle 1.5s")
	})
}

// TestSessions: the state belongs to the user, not to the session.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, idle.Config{Delay: -1})
		r.i.SetIdle(time.Now())
		time.Sleep(time.Minute)
		r.login()
		r.want("the first presence", "idle 1m0s")
		r.srv.Kill(r.s.MyJID())
		_ = r.s.Wait(t.Context())
		r.i.SetActive()
		time.Sleep(time.Minute)
		r.want("without a connection")
		r.login() // sends the last presence again
		r.want("active meanwhile", "")
		r.srv.Kill(r.s.MyJID())
		_ = r.s.Wait(t.Context())
		r.i.SetIdle(time.Now())
		time.Sleep(time.Minute)
		r.login()
		r.want("idle meanwhile", "idle 1m0s")
		r.i.SetActive()
		r.want("without a delay", "")
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, idle.Config{}, func(c *xmpp.Config) { c.NoInitialPresence = true })
		r.login()
		r.i.SetIdle(time.Now())
		time.Sleep(time.Minute)
		r.want("who is not available stays so")
	})
}

// TestInterceptors: one that wants it otherwise has its way, and presence is not sent without end.
func TestInterceptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, idle.Config{})
		r.login()
		drop := false
		r.s.AddInterceptor(xmpp.Interceptor{WillSendPresence: func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
			if drop {
				return nil
			}
			p = p.Copy()
			p.SetIdleSince(time.Time{})
			return p
		}})
		r.want("the login", "")
		r.i.SetIdle(time.Now())
		time.Sleep(time.Hour)
		r.want("hidden", "")
		drop = true
		r.i.SetIdle(time.Now())
		time.Sleep(time.Hour)
		r.want("dropped")
	})
}

// TestOrder: what is said while presence is on its way is sent behind it.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, idle.Config{Delay: -1})
		r.login()
		r.want("the login", "")
		var once sync.Once
		r.s.AddInterceptor(xmpp.Interceptor{WillSendPresence: func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
			once.Do(func() {
				r.i.SetIdle(time.Now().Add(-time.Hour))
				time.Sleep(time.Second)
			})
			return p
		}})
		r.i.SetIdle(time.Now())
		time.Sleep(time.Minute)
		r.want("one moment, and at once another", "idle 1s", "idle 1h0m1s")
	})
}

// TestConcurrent: whatever is said at once, the last presence says what is so.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, idle.Config{Delay: -1})
		r.login()
		start := time.Now()
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for k := range 50 {
					if (n+k)%2 == 0 {
						r.i.SetActive()
					} else {
						r.i.SetIdle(start.Add(-time.Duration(n*50+k) * time.Hour))
					}
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		want, _ := r.i.Since()
		if got, _ := r.s.MyPresence().IdleSince(); !got.Equal(want) {
			t.Errorf("the last presence says %v, want %v", got, want)
		}
	})
}

// TestSince reads what contacts say: XEP-0319, and XEP-0256 of those who are older.
func TestSince(t *testing.T) {
	received := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ inner, want string }{
		{"<idle xmlns='urn:xmpp:idle:1' since='2026-01-01T11:00:00+01:00'/>", "2h0m0s"},
		{"<query xmlns='jabber:iq:last' seconds='86511'/>", "24h1m51s"},
		{"<query xmlns='jabber:iq:last' seconds='5'/><idle xmlns='urn:xmpp:idle:1' since='2026-01-01T11:00:00Z'/>", "1h0m0s"},
		{"<idle xmlns='urn:xmpp:idle:1' since='2026-01-01T12:00:01Z'/>", "0s"},
		{"<idle xmlns='urn:xmpp:idle:1' since='9999-12-31T23:59:59Z'/>", "0s"},
		{"", ""},
		{"<idle xmlns='urn:xmpp:idle:1'/>", ""},
		{"<idle xmlns='urn:x' since='2026-01-01T11:00:00Z'/>", ""},
		{"<query xmlns='jabber:iq:last'/>", ""},
	} {
		st, err := stanza.Parse("<presence xmlns='jabber:client'>" + tt.inner + "</presence>")
		if err != nil {
			t.Fatal(err)
		}
		since, is := idle.Since(st.(*stanza.Presence), received)
		got := ""
		if is {
			got = received.Sub(since).String()
		}
		if got != tt.want || is == since.IsZero() {
			t.Errorf("%s: %v, %v, want %s", tt.inner, since, is, tt.want)
		}
	}
}

// TestSec_DAT01: moments and seconds from others are refused or borne.
func TestSec_DAT01(t *testing.T) {
	received := time.Now()
	read := func(inner string) (time.Time, bool) {
		t.Helper()
		st, err := stanza.Parse("<presence xmlns='jabber:client'>" + inner + "</presence>")
		if err != nil {
			t.Fatal(err)
		}
		return idle.Since(st.(*stanza.Presence), received)
	}
	for _, bad := range []string{"", "yesterday", "10000-01-01T00:00:00Z", "-001-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+99:99", "2026-01-01T25:00:00Z", strings.Repeat("9", 1<<16)} {
		if since, is := read("<idle xmlns='urn:xmpp:idle:1' since='" + bad + "'/>"); is || !since.IsZero() {
			t.Errorf("%.40q: %v, %v", bad, since, is)
		}
	}
	for _, bad := range []string{"", "-1", "1e9", "9223372037", "9223372036854775807", "99999999999999999999999", "0x10", "1.5"} {
		if since, is := read("<query xmlns='jabber:iq:last' seconds='" + bad + "'/>"); is || !since.IsZero() {
			t.Errorf("%.40q: %v, %v", bad, since, is)
		}
	}
	for _, good := range []string{"<idle xmlns='urn:xmpp:idle:1' since='0000-01-01T00:00:00Z'/>", "<idle xmlns='urn:xmpp:idle:1' since='9999-12-31T23:59:60." + strings.Repeat("9", 40) + "Z'/>", "<query xmlns='jabber:iq:last' seconds='9223372035'/>"} {
		since, is := read(good)
		if _, err := since.MarshalJSON(); !is || since.After(received) || err != nil {
			t.Errorf("%s: %v, %v, %v", good, since, is, err)
		}
	}
}

func TestModule(t *testing.T) {
	i := idle.New(idle.Config{})
	if i.Name() != "idle" || strings.Join(i.Features(), " ") != "urn:xmpp:idle:1" {
		t.Error(i.Name(), i.Features())
	}
	var _ xmpp.FeatureProvider = i
	if _, is := i.Since(); is {
		t.Error("idle from the start")
	}
	i.SetActive()
}

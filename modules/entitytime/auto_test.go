package entitytime_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/entitytime"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// heard is what a delegate was told.
type heard struct {
	mu   sync.Mutex
	list []string
}

func (h *heard) EntityTimeDidUpdateDifference(_ context.Context, t *entitytime.EntityTime, r entitytime.Reading) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d, known := t.Difference()
	h.list = append(h.list, fmt.Sprint(r.Difference))
	if d != r.Difference || !known {
		h.list = append(h.list, "but", d.String())
	}
}

func (h *heard) want(t *testing.T, what, want string) {
	t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if got := strings.Join(h.list, " "); got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
	h.list = nil
}

// rig is a client whose clock goes as it is told, and a server whose clock is that of the bubble.
type rig struct {
	t      *testing.T
	srv    *xmpptest.Server
	m      *entitytime.EntityTime
	s      *xmpp.Stream
	heard  heard
	behind atomic.Int64 // of the local clock
	asked  atomic.Int32 // how often the server was asked
	mute   atomic.Bool  // the server does not know XEP-0202
	looked atomic.Int32 // how often the local clock was looked at
}

func newRig(t *testing.T, cfg entitytime.Config) *rig {
	r := &rig{t: t}
	r.srv = xmpptest.NewServer(t, xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, send func(string)) bool {
		if stanza.Child(e, "time", entitytime.NS) == nil {
			return false
		}
		r.asked.Add(1)
		if r.mute.Load() {
			send("<iq type='error' from='example.test' id='" + stanza.AttrOr(e, "id", "") + "'>" + refused + "</iq>")
		}
		return r.mute.Load()
	}))
	cfg.Clock = func() time.Time {
		r.looked.Add(1)
		return time.Now().Add(-time.Duration(r.behind.Load()))
	}
	r.m = entitytime.New(cfg)
	r.m.AddDelegate(&r.heard, nil)
	s, err := xmpp.New(r.srv.Config("juliet"))
	if err == nil {
		err = r.m.Activate(s)
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
	synctest.Wait()
}

func (r *rig) wantAsked(what string, want int32) {
	r.t.Helper()
	synctest.Wait()
	if got := r.asked.Swap(0); got != want {
		r.t.Errorf("%s: asked %d times, want %d", what, got, want)
	}
}

// TestAuto looks at the automatic looks: at the beginning, every day, when the clock is set, and not again for a new session (TIME-03).
func TestAuto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, entitytime.Config{})
		r.behind.Store(int64(90 * time.Second))
		if d, known := r.m.Difference(); d != 0 || known || !r.m.LastCalibration().IsZero() {
			t.Error("something is known before the first session:", d, known)
		}
		r.login()
		r.wantAsked("the first session", 1)
		r.heard.want(t, "the first session", "1m30s")
		if d, known := r.m.Difference(); d != 90*time.Second || !known || !r.m.Now().Equal(time.Now()) {
			t.Error(d, known, r.m.Now())
		}
		if got := r.m.LastCalibration(); !got.Equal(time.Now().Add(-90 * time.Second)) {
			t.Errorf("LastCalibration: %v", got)
		}
		time.Sleep(24*time.Hour - time.Second)
		r.wantAsked("a day, but a second", 0)
		time.Sleep(2 * time.Second)
		r.wantAsked("a day", 1)
		r.heard.want(t, "a day", "1m30s")

		// A clock that goes a little wrong is none that was set.
		r.behind.Store(int64(89500 * time.Millisecond))
		time.Sleep(time.Hour)
		r.wantAsked("a clock that is a little wrong", 0)
		for _, behind := range []time.Duration{-time.Hour, time.Hour, 0} {
			r.behind.Store(int64(behind))
			time.Sleep(time.Minute)
			r.wantAsked("the clock was set to "+behind.String(), 1)
			r.heard.want(t, "the clock was set", behind.String())
			if !r.m.Now().Equal(time.Now()) {
				t.Errorf("Now: %v", r.m.Now())
			}
			time.Sleep(time.Hour)
			r.wantAsked("after that", 0)
		}

		// Another session needs no other look, unless it is time.
		r.s.Disconnect()
		time.Sleep(time.Hour)
		r.login()
		r.wantAsked("a new session", 0)
		if _, known := r.m.Difference(); !known {
			t.Error("forgotten")
		}
		r.s.Disconnect()
		looked := r.looked.Load()
		time.Sleep(24 * time.Hour)
		r.wantAsked("without a connection", 0)
		if r.looked.Load() != looked {
			t.Error("the timer goes on without a connection")
		}
		r.login()
		r.wantAsked("a new session, a day later", 1)
		r.s.Disconnect()
		r.behind.Store(int64(time.Minute))
		r.login()
		r.wantAsked("a new session, the clock was set meanwhile", 1)
		r.heard.want(t, "new sessions", "0s 1m0s")

		r.m.Deactivate()
		time.Sleep(48 * time.Hour)
		r.wantAsked("deactivated", 0)
		if err := r.m.Activate(r.s); err != nil {
			t.Fatal(err)
		}
		r.wantAsked("activated during a session", 1)
	})
}

// TestAutoFails: a server that does not answer is asked again after an hour, and what was known stays.
func TestAutoFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, entitytime.Config{Interval: 3 * time.Hour})
		r.mute.Store(true)
		r.login()
		r.wantAsked("the first try", 1)
		time.Sleep(59 * time.Minute)
		r.wantAsked("too early", 0)
		time.Sleep(2 * time.Minute)
		r.wantAsked("the second try", 1)
		r.heard.want(t, "tries", "")
		r.mute.Store(false)
		time.Sleep(time.Hour)
		r.wantAsked("the third", 1)
		r.heard.want(t, "the third", "0s")
		r.mute.Store(true)
		r.behind.Store(int64(time.Hour))
		time.Sleep(2 * time.Hour)
		r.wantAsked("the clock was set, and there is no answer", 2)
		if d, known := r.m.Difference(); d != 0 || !known {
			t.Error(d, known)
		}
	})
}

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, entitytime.Config{Interval: 10 * time.Second})
		r.login()
		time.Sleep(time.Minute + time.Second)
		r.wantAsked("every 10 s", 7)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, entitytime.Config{Interval: -1})
		r.login()
		time.Sleep(48 * time.Hour)
		r.wantAsked("never", 0)
		got, err := r.m.Calibrate(t.Context())
		if err != nil || got.Difference != 0 || got.Offset != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		r.wantAsked("when the application wants it", 1)
		r.heard.want(t, "when the application wants it", "0s")
	})
	synctest.Test(t, func(t *testing.T) { // another target
		r := newRig(t, entitytime.Config{Target: xmpp.MustParseJID("clock.example.test")})
		r.srv.HandleDomain("clock.example.test", func(e *etree.Element) {
			r.srv.Deliver("<iq type='result' from='clock.example.test' to='" + stanza.AttrOr(e, "from", "") + "' id='" + stanza.AttrOr(e, "id", "") +
				"'><time xmlns='urn:xmpp:time'><tzo>+02:00</tzo><utc>2000-01-02T00:00:00Z</utc></time></iq>")
		})
		r.login()
		r.heard.want(t, "another clock", time.Until(time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)).String())
	})
}

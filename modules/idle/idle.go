// Package idle tells contacts since when nobody has used the client: Last User Interaction in Presence, XEP-0319.
//
// What being idle is, the application knows: it says [Idle.SetIdle] and [Idle.SetActive]. An active [Idle] adds that to the presence that the stream
// broadcasts, and broadcasts the last one again when it has changed. What contacts say, [Since] reads from their presence.
package idle

import (
	"context"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0319.
const NS = stanza.NSIdle

// near is how far two moments may be apart that pass for the same: systems do not measure idle time to the millisecond.
const near = time.Minute

// Config tunes an [Idle].
type Config struct {
	// Delay is how long a change waits for other changes, and for presence that the application sends anyway, before the last presence is sent again.
	// If zero, 500 ms. If negative, it does not wait.
	Delay time.Duration
}

// Idle is the module. Make it with [New].
type Idle struct {
	xmpp.ModuleBase
	cfg Config

	mu      sync.Mutex
	since   time.Time // zero: not idle
	timer   *time.Timer
	sending bool // somebody is in send
}

// New makes a module that is not active yet.
func New(cfg Config) *Idle {
	if cfg.Delay == 0 {
		cfg.Delay = 500 * time.Millisecond
	}
	return &Idle{cfg: cfg}
}

// Name is "idle".
func (i *Idle) Name() string { return "idle" }

// Features are what service discovery announces.
func (i *Idle) Features() []string { return []string{NS} }

// Activate attaches the module to a stream. What was said before is told now, or with the first presence of the next session.
// Deactivate tells the contacts that nobody is idle, unless the write limit leaves no room for a second.
func (i *Idle) Activate(s *xmpp.Stream) error {
	err := i.Attach(s, i, func() error {
		i.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: "idle", WillSendPresence: i.willSendPresence}))
		i.OnDeactivate(func() { i.reset(s) })
		return nil
	})
	if err == nil {
		i.changed()
	}
	return err
}

// SetIdle says that nobody has used the client since that moment; the zero time and one to come are now.
// Presence without a recipient, which goes to all contacts, tells it until SetActive, in later sessions too; directed presence, to rooms for instance,
// does not. If the stream is available, its last presence is sent again, once for all changes within Config.Delay.
//
// A moment that is less than a minute from the one that was said before changes nothing, so it may be called as often as the system is asked.
// It does not wait. Without a session, or before Activate, it is remembered.
func (i *Idle) SetIdle(since time.Time) {
	if now := time.Now(); since.IsZero() || since.After(now) {
		since = now
	}
	i.mu.Lock()
	if !i.since.IsZero() && since.Sub(i.since).Abs() < near {
		i.mu.Unlock()
		return
	}
	i.since = since.Round(0).Truncate(time.Millisecond) // as it is written
	i.mu.Unlock()
	i.changed()
}

// SetActive says that somebody uses the client. It is otherwise as SetIdle.
func (i *Idle) SetActive() {
	i.mu.Lock()
	was := !i.since.IsZero()
	i.since = time.Time{}
	i.mu.Unlock()
	if was {
		i.changed()
	}
}

// Since is what the application has said: since when nobody uses the client, and whether that is so.
func (i *Idle) Since() (since time.Time, idle bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.since, !i.since.IsZero()
}

// changed sends presence again after the delay.
func (i *Idle) changed() {
	s := i.Stream()
	if s == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.timer != nil {
		i.timer.Stop()
	}
	i.timer = time.AfterFunc(max(0, i.cfg.Delay), func() { i.send(context.Background(), s) })
}

// send broadcasts the last presence again if it says something else. One at a time does, so that the last word is sent last.
func (i *Idle) send(ctx context.Context, s *xmpp.Stream) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for again := true; again && !i.sending && i.Stream() == s && i.differs(s.MyPresence()); {
		said := i.since
		i.sending = true
		i.mu.Unlock()
		err := s.ResendMyPresence(ctx)
		i.mu.Lock()
		i.sending = false
		again = err == nil && !i.since.Equal(said) // else an interceptor wants it otherwise
		if err != nil {                            // without a connection, the next session tells it
			s.Logger().Debug("idle: presence could not be sent again", "err", err)
		}
	}
}

// differs reports whether a presence that was broadcast says anything else than what is so. The lock is held.
func (i *Idle) differs(p *stanza.Presence) bool {
	if p == nil || p.Type() != stanza.Available {
		return false
	}
	said, _ := p.IdleSince()
	return !said.Equal(i.since)
}

func (i *Idle) willSendPresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
	if !p.To().IsZero() || p.Type() != stanza.Available {
		return p
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.since.IsZero() && p.Child("idle", NS) == nil {
		return p
	}
	p = p.Copy()
	p.SetIdleSince(i.since)
	return p
}

// reset is Deactivate's part.
func (i *Idle) reset(s *xmpp.Stream) {
	i.mu.Lock()
	i.since = time.Time{}
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
	i.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	i.send(ctx, s)
}

// Since reads from a contact's presence since when nobody has used that client: from XEP-0319, or else from XEP-0256, where it is counted back from received,
// the time when the presence came. What lies after received is taken for received. idle is false if the presence does not say it, or in a way that cannot be read.
func Since(p *stanza.Presence, received time.Time) (since time.Time, idle bool) {
	since, idle = p.IdleSince()
	if !idle {
		seconds := stanza.AttrInt(p.Child("query", "jabber:iq:last"), "seconds", int64(-1))
		if seconds < 0 || seconds > int64(1<<63-1)/int64(time.Second) {
			return time.Time{}, false
		}
		since = received.Add(-time.Duration(seconds) * time.Second)
	}
	if since.After(received) {
		since = received
	}
	return since, true
}

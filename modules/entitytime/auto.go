package entitytime

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
)

const (
	tick    = time.Minute // how often it is looked whether somebody has set the local clock
	step    = time.Second // what counts as setting it, and not as a clock that goes a little wrong
	tryNext = time.Hour   // after a look that failed, unless Config.Interval is shorter
)

// look is the last one at the clock of Config.Target that succeeded.
type look struct {
	difference time.Duration
	at         time.Time // when it was, by the monotonic clock; zero: never
	clock      time.Time // what the local clock showed then
}

// stepped reports whether the local clock was set since the look. A computer that slept looks the same, for its monotonic clock slept too.
func (l look) stepped(clock time.Time) bool {
	return (clock.Round(0).Sub(l.clock) - time.Since(l.at)).Abs() > step
}

// auto are the automatic looks of one session.
type auto struct {
	t      *EntityTime
	s      *xmpp.Stream
	ctx    context.Context // ends with the activation, or when another session begins
	cancel context.CancelFunc
	timer  *time.Timer
	failed time.Time // the last look that failed; used by check only
}

// ReceiveSession goes on with the automatic looks. What is known is kept: it belongs to the clocks, not to the session.
func (t *EntityTime) ReceiveSession(context.Context, xmpp.SessionKind) {
	if s := t.Stream(); s != nil {
		t.start(s)
	}
}

func (t *EntityTime) start(s *xmpp.Stream) {
	t.stop()
	if t.cfg.Interval < 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a := &auto{t: t, s: s}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.timer = time.AfterFunc(0, a.check)
	t.auto = a
}

func (t *EntityTime) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.auto != nil {
		t.auto.cancel()
		t.auto.timer.Stop()
		t.auto = nil
	}
}

// check looks at the clock of the target if it is time to, and comes back later. It runs once at a time: it sets its own timer.
func (a *auto) check() {
	if a.ctx.Err() != nil || !a.s.IsAuthenticated() {
		return // the next session starts anew
	}
	if a.wait() == 0 {
		if _, err := a.t.Calibrate(a.ctx); err != nil {
			a.failed = time.Now()
			a.s.Logger().Debug("entitytime: the clock could not be compared", "err", err)
		} else {
			a.failed = time.Time{}
		}
	}
	next := min(tick, max(a.wait(), time.Millisecond))
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	if a.t.auto == a {
		a.timer.Reset(next)
	}
}

// wait is how long the next look may wait.
func (a *auto) wait() time.Duration {
	cfg := &a.t.cfg
	if !a.failed.IsZero() {
		if rest := min(tryNext, cfg.Interval) - time.Since(a.failed); rest > 0 {
			return rest
		}
	}
	a.t.mu.Lock()
	l := a.t.last
	a.t.mu.Unlock()
	if l.at.IsZero() || l.stepped(cfg.Clock()) {
		return 0
	}
	return max(0, cfg.Interval-time.Since(l.at))
}

// Calibrate looks at the clock of Config.Target now. Without a call the module does so by itself: when it has never done so,
// when Config.Interval has passed, and within a minute when somebody has set the local clock, or the computer has slept; an hour after a look that failed.
// The error is that of [EntityTime.Query]; what is known stays then.
func (t *EntityTime) Calibrate(ctx context.Context) (Reading, error) {
	s, err := t.Active()
	if err != nil {
		return Reading{}, err
	}
	r, err := t.Query(ctx, t.cfg.Target)
	if err != nil {
		return Reading{}, err
	}
	t.mu.Lock()
	t.last = look{difference: r.Difference, at: time.Now(), clock: t.cfg.Clock().Round(0)}
	t.mu.Unlock()
	t.delegates.Notify(s, func(ctx context.Context, d Delegate) { d.EntityTimeDidUpdateDifference(ctx, t, r) })
	return r, nil
}

// Difference is how far the clock of Config.Target is ahead of the local one, negative if it is behind, as of the last look at it.
// known is false before the first. It is kept over sessions.
func (t *EntityTime) Difference() (d time.Duration, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last.difference, !t.last.at.IsZero()
}

// Now is the time by the clock of Config.Target: the local clock, corrected by the difference if that is known.
func (t *EntityTime) Now() time.Time {
	d, _ := t.Difference()
	return t.cfg.Clock().Round(0).Add(d)
}

// LastCalibration is what the local clock showed at the last look at that of Config.Target that succeeded, the zero time before the first.
func (t *EntityTime) LastCalibration() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last.clock
}

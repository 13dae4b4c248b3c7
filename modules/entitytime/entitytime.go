// Package entitytime asks others what time it is where they are, and tells them: Entity Time, XEP-0202.
//
// An active [EntityTime] also finds out by itself how far the local clock is from that of the server, so that [EntityTime.Now] is the same
// time for all who use that server, as well as it can be known.
package entitytime

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// NS is the namespace of XEP-0202.
const NS = "urn:xmpp:time"

// ErrAnswer is returned by [EntityTime.Query] for an answer that does not hold a time and an offset that can be read.
var ErrAnswer = errors.New("entitytime: the answer holds no time")

// Config tunes an [EntityTime]. With the zero value everybody is answered, and the server's clock is looked at once a day.
type Config struct {
	// NoAnswer leaves others' questions to the rest of the program, and announces no feature. If zero, they are answered.
	NoAnswer bool
	// Allow tells whether the questions of an entity are answered; others are told service-unavailable, as without the module. It is called
	// on a queue of the module. If zero, everybody is answered.
	Allow func(from xmpp.JID) bool
	// HideOffset answers with the offset of UTC: the local one tells roughly where somebody is (XEP-0202 section 5). If zero, the local offset is told.
	HideOffset bool

	// Interval is the time between two automatic looks at the clock of Target. If zero, 24 h. If negative, there are none.
	Interval time.Duration
	// Target is whose clock the automatic looks are at. If zero, the own server's.
	Target xmpp.JID
	// Clock is the local clock, which is told to others and compared with theirs. If zero, [time.Now].
	Clock func() time.Time
}

// Delegate hears of the automatic looks at a clock. Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate interface {
	// EntityTimeDidUpdateDifference is called after each automatic or asked-for look at the clock of Config.Target that succeeded.
	// r.Difference is what [EntityTime.Difference] returns from then on.
	EntityTimeDidUpdateDifference(ctx context.Context, t *EntityTime, r Reading)
}

// Reading is what a clock showed.
type Reading struct {
	// UTC is the time that the other clock showed when it answered. Many answer in whole seconds.
	UTC time.Time
	// Offset is that of the other's local time from UTC, in minutes.
	Offset time.Duration
	// RTT is the time between question and answer.
	RTT time.Duration
	// Difference is how far the other clock is ahead of the local one; negative if it is behind. It is exact to half of RTT and to the second
	// of an answer in whole seconds.
	Difference time.Duration
}

// Local is the time that the other clock showed, as it is where the other is.
func (r Reading) Local() time.Time {
	return r.UTC.In(time.FixedZone("", int(r.Offset/time.Second)))
}

// Element is the payload that tells a time (XEP-0202 section 3), with the offset of its location.
func Element(t time.Time) *etree.Element {
	_, offset := t.Zone()
	return stanza.New("time", NS).
		C("tzo").T(datetime.FormatOffset(time.Duration(offset) * time.Second)).Up().
		C("utc").T(datetime.Format(t)).Element()
}

// EntityTime is the module. Make it with [New].
type EntityTime struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	mu   sync.Mutex // guards what follows
	last look
	auto *auto // nil without a session, and without Config.Interval
}

// New makes a module that is not active yet.
func New(cfg Config) *EntityTime {
	if cfg.Interval == 0 {
		cfg.Interval = 24 * time.Hour
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &EntityTime{cfg: cfg}
}

// Name is "entitytime".
func (t *EntityTime) Name() string { return "entitytime" }

// Features are what service discovery announces: nothing with Config.NoAnswer.
func (t *EntityTime) Features() []string {
	if t.cfg.NoAnswer {
		return nil
	}
	return []string{NS}
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (t *EntityTime) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return t.delegates.Add("entitytime", queue, d)
}

// Activate attaches the module to a stream.
func (t *EntityTime) Activate(s *xmpp.Stream) error {
	err := t.Attach(s, t, func() error {
		t.OnDeactivate(t.stop)
		if t.cfg.NoAnswer {
			return nil
		}
		remove, err := s.HandleIQ(stanza.Get, NS, "time", nil, t.answer)
		if err == nil {
			t.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		}
		return err
	})
	if err == nil && s.IsAuthenticated() {
		t.start(s)
	}
	return err
}

func (t *EntityTime) answer(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	if t.cfg.Allow != nil && !t.cfg.Allow(iq.From()) {
		_ = s.Send(ctx, iq.Error(stanza.ServiceUnavailable))
		return
	}
	now := t.cfg.Clock()
	if t.cfg.HideOffset {
		now = now.UTC()
	}
	_ = s.Send(ctx, iq.Result(stanza.Raw(Element(now))))
}

// Query asks an entity for its time: a server or another service by its domain, a client by its full address; the zero JID is the own server.
// The error is that of [xmpp.Stream.SendIQ], which is a [*stanza.Error] when the entity refused to answer, or [ErrAnswer].
func (t *EntityTime) Query(ctx context.Context, jid xmpp.JID) (Reading, error) {
	s, err := t.Active()
	if err != nil {
		return Reading{}, err
	}
	if jid.IsZero() {
		jid = s.MyJID().DomainJID()
	}
	start, clock := time.Now(), t.cfg.Clock()
	answer, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, jid, stanza.New("time", NS)))
	if err != nil {
		return Reading{}, err
	}
	r, err := parse(answer)
	if err != nil {
		return Reading{}, err
	}
	r.RTT = time.Since(start)
	// Half way between the two the answer was written; Round takes the local clock at its word, whatever the monotonic one says.
	r.Difference = r.UTC.Sub(clock.Round(0).Add(r.RTT / 2))
	return r, nil
}

// parse reads an answer. Time and offset are required (XEP-0202 section 3).
func parse(answer *stanza.IQ) (r Reading, err error) {
	e := answer.Child("time", NS)
	utc, err1 := datetime.Parse(stanza.ChildText(e, "utc", NS))
	offset, err2 := datetime.ParseOffset(stanza.ChildText(e, "tzo", NS))
	if err1 != nil || err2 != nil {
		return Reading{}, ErrAnswer
	}
	return Reading{UTC: utc, Offset: offset}, nil
}

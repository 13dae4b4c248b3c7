// Package ping asks whether somebody is there: XMPP Ping, XEP-0199.
//
// An active [Ping] answers pings, sends them on request, and sends one to the server by itself when nothing was
// received for a while, so that a connection whose other end has vanished is noticed and ended.
//
// It is the example to copy for a module of one's own.
package ping

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0199.
const NS = "urn:xmpp:ping"

// ErrTimeout is the cause of the disconnect after an automatic ping that nobody answered.
var ErrTimeout = errors.New("ping: no answer to a ping")

// Config tunes a [Ping]. The zero value answers, and pings the server after 60 s of silence.
type Config struct {
	// NoAnswer leaves pings of others unanswered by this module (XEP-0199 section 7). If zero, they are answered.
	NoAnswer bool
	// Target of the automatic pings. If zero, the own server.
	Target xmpp.JID
	// Interval without anything received after which an automatic ping is sent. If zero, 60 s. If negative, never.
	Interval time.Duration
	// Timeout is how long the answer to an automatic ping may take. If zero, 10 s.
	Timeout time.Duration
	// KeepConnection leaves it to the delegates what to do after an automatic ping without an answer.
	// If zero, the connection is ended with ErrTimeout.
	KeepConnection bool
}

// Delegate hears of automatic pings. Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate interface {
	// PingDidSend is called when an automatic ping is sent.
	PingDidSend(ctx context.Context, p *Ping)
	// PingDidReceivePong is called after the answer to an automatic ping, with the time it took; an error is an answer too.
	PingDidReceivePong(ctx context.Context, p *Ping, rtt time.Duration)
	// PingDidTimeout is called when no answer came in time, before the connection is ended.
	PingDidTimeout(ctx context.Context, p *Ping)
}

// Ping is the module. Make it with [New].
type Ping struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]

	mu   sync.Mutex
	cfg  Config
	auto *auto // nil while there is no session
}

// New makes a module that is not active yet.
func New(cfg Config) *Ping { return &Ping{cfg: cfg} }

// Name is "ping".
func (p *Ping) Name() string { return "ping" }

// Features are what service discovery announces: nothing with Config.NoAnswer.
func (p *Ping) Features() []string {
	if p.config().NoAnswer {
		return nil
	}
	return []string{NS}
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (p *Ping) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return p.delegates.Add("ping", queue, d)
}

// Activate attaches the module to a stream.
func (p *Ping) Activate(s *xmpp.Stream) error {
	return p.Attach(s, p, func() error {
		if !p.config().NoAnswer {
			remove, err := s.HandleIQ(stanza.Get, NS, "ping", nil, answer)
			if err != nil {
				return err
			}
			p.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		}
		remove := s.AddDelegate(xmpp.Delegate{Name: "ping", Connection: listener{p}})
		p.OnDeactivate(func() { _ = remove(xmpp.NoWait); p.stop() })
		if s.IsAuthenticated() {
			p.start(s)
		}
		return nil
	})
}

func answer(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) { _ = s.Send(ctx, iq.Result(nil)) }

// SendPingToServer pings the own server. See [Ping.SendPingToJID].
func (p *Ping) SendPingToServer(ctx context.Context) (time.Duration, error) {
	return p.SendPingToJID(ctx, xmpp.JID{})
}

// SendPingToJID pings an entity and returns how long the answer took: any answer from it, an error included,
// proves that it is there (XEP-0199 section 4). Another client must be addressed by its full JID.
// The error is that of [xmpp.Stream.SendIQ] when no answer came.
func (p *Ping) SendPingToJID(ctx context.Context, to xmpp.JID) (time.Duration, error) {
	s, err := p.Active()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	_, err = s.SendIQ(ctx, stanza.NewIQ(stanza.Get, to, stanza.New("ping", NS)))
	if se := (*stanza.Error)(nil); errors.As(err, &se) {
		err = nil
	}
	return time.Since(start), err
}

// Configure replaces the configuration; NoAnswer counts from the next activation on.
func (p *Ping) Configure(cfg Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg = cfg
	if p.auto != nil {
		p.auto.wake()
	}
}

// LastReceiveTime is when the last data came from the server, zero when not connected.
func (p *Ping) LastReceiveTime() time.Time {
	if s := p.Stream(); s != nil {
		return s.LastReceived()
	}
	return time.Time{}
}

func (p *Ping) config() Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.cfg
	if c.Interval == 0 {
		c.Interval = time.Minute
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	return c
}

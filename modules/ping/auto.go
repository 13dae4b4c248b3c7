package ping

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// auto are the automatic pings of one session.
type auto struct {
	p      *Ping
	s      *xmpp.Stream
	ctx    context.Context // ends with the session, or the activation
	cancel context.CancelFunc
	timer  *time.Timer
	busy   bool // a check is under way; guarded by Ping.mu, as the timer is
}

// ReceiveSession starts the automatic pings.
func (p *Ping) ReceiveSession(context.Context, xmpp.SessionKind) {
	if s := p.Stream(); s != nil {
		p.start(s)
	}
}

// listener stops them.
type listener struct{ p *Ping }

func (listener) WillConnect(context.Context, *xmpp.Stream) {}
func (listener) DidConnect(context.Context, *xmpp.Stream)  {}

func (l listener) DidDisconnect(_ context.Context, s *xmpp.Stream, _ error) {
	if !s.IsAuthenticated() { // else the next session has begun meanwhile
		l.p.stop()
	}
}

func (p *Ping) start(s *xmpp.Stream) {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &auto{p: p, s: s}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.timer = time.AfterFunc(0, a.check)
	p.auto = a
}

func (p *Ping) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.auto != nil {
		p.auto.cancel()
		p.auto.timer.Stop()
		p.auto = nil
	}
}

// wake looks again at once, unless a check is under way, which will. Ping.mu is held.
func (a *auto) wake() {
	if !a.busy {
		a.timer.Reset(0)
	}
}

// check looks at the silence so far, pings if it is long enough, and sets the timer for the next look.
func (a *auto) check() {
	p := a.p
	p.mu.Lock()
	if p.auto != a || a.busy {
		p.mu.Unlock()
		return
	}
	a.busy = true
	p.mu.Unlock()
	next := a.ping()
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.busy = false; p.auto == a && next > 0 {
		a.timer.Reset(next)
	}
}

// ping returns when to look again; 0 means not before Configure.
func (a *auto) ping() time.Duration {
	cfg, last := a.p.config(), a.s.LastReceived()
	if cfg.Interval < 0 || last.IsZero() {
		return 0
	}
	if silence := time.Since(last); silence < cfg.Interval {
		return cfg.Interval - silence
	}
	a.notify(func(ctx context.Context, d Delegate) { d.PingDidSend(ctx, a.p) })
	ctx, cancel := context.WithTimeout(a.ctx, cfg.Timeout)
	defer cancel()
	rtt, err := a.p.SendPingToJID(ctx, cfg.Target)
	switch {
	case err == nil:
		a.notify(func(ctx context.Context, d Delegate) { d.PingDidReceivePong(ctx, a.p, rtt) })
	case a.ctx.Err() == nil && ctx.Err() != nil:
		a.notify(func(ctx context.Context, d Delegate) { d.PingDidTimeout(ctx, a.p) })
		if !cfg.KeepConnection {
			a.s.Fail(ErrTimeout)
		}
	}
	return cfg.Interval
}

func (a *auto) notify(call func(context.Context, Delegate)) { a.p.delegates.Notify(a.s, call) }

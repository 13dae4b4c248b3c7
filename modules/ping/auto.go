package ping

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// never is how far off the timer is set while automatic pings are off.
const never = 365 * 24 * time.Hour

// DidStartSession starts the automatic pings.
func (p *Ping) DidStartSession(context.Context, *xmpp.Stream, xmpp.SessionKind) { p.start() }

// DidDisconnect ends them.
func (p *Ping) DidDisconnect(context.Context, *xmpp.Stream, error) { p.stop() }

// WillConnect does nothing.
func (p *Ping) WillConnect(context.Context, *xmpp.Stream) {}

// DidConnect does nothing.
func (p *Ping) DidConnect(context.Context, *xmpp.Stream) {}

func (p *Ping) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		var t *time.Timer
		t = time.AfterFunc(never, func() { p.tick(t) })
		p.timer = t
		t.Reset(0)
	}
}

func (p *Ping) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// tick looks at the silence so far, pings if it is long enough, and sets the timer for the next look.
func (p *Ping) tick(t *time.Timer) {
	next := p.check()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == t {
		t.Reset(next)
	}
}

func (p *Ping) check() (next time.Duration) {
	cfg, s := p.config(), p.Stream()
	if cfg.Interval < 0 || s == nil {
		return never
	}
	if silence := time.Since(s.LastReceived()); silence < cfg.Interval {
		return cfg.Interval - silence
	}
	p.delegates.Notify(s, func(ctx context.Context, d Delegate) { d.PingDidSend(ctx, p) })
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Timeout)
	defer cancel()
	switch rtt, err := p.SendPingToJID(ctx, cfg.Target); {
	case err == nil:
		p.delegates.Notify(s, func(ctx context.Context, d Delegate) { d.PingDidReceivePong(ctx, p, rtt) })
	case ctx.Err() != nil:
		p.delegates.Notify(s, func(ctx context.Context, d Delegate) { d.PingDidTimeout(ctx, p) })
		if !cfg.KeepConnection {
			s.Fail(ErrTimeout)
		}
	}
	return cfg.Interval
}

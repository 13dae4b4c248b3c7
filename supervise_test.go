package xmpp_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// gate is a dialer that waits for a word before each connection but the first: an error fails it.
type gate struct {
	next    func(ctx context.Context, network, addr string) (net.Conn, error)
	open    bool
	reached chan struct{}
	word    chan error
}

func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if g.open {
		g.reached <- struct{}{}
		if err := <-g.word; err != nil {
			return nil, err
		}
	}
	g.open = true
	return g.next(ctx, network, addr)
}

// A supervisor that gives up while an attempt is under way leaves nothing behind: if the attempt fails, the session that was held for it is over;
// if it succeeds, or somebody else has taken over, the session goes on.
func TestSuperviseDuringAttempt(t *testing.T) {
	for name, tt := range map[string]struct {
		word  error
		again bool // another supervisor begins meanwhile
		over  bool
	}{
		"fails":                {word: errByTest, over: true},
		"succeeds":             {},
		"fails, taken over":    {word: errByTest, again: true},
		"succeeds, taken over": {again: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := &gate{reached: make(chan struct{}, 4), word: make(chan error, 4)}
			p := newTracked(t, newLedger(xmpp.TrackOptions{}), func(cfg *xmpp.Config) { g.next, cfg.Dial = cfg.Dial, g.dial })
			done, err := p.s.Supervise()
			if err != nil {
				t.Fatal(err)
			}
			p.lose()
			queued := p.send("queued")
			tried := make(chan error, 1)
			go func() { tried <- p.s.Login(within(t, 5*time.Second)) }()
			soon(t, g.reached, time.Second, "the attempt")
			cause := errors.New("given up")
			done(cause)
			if tt.again {
				if done, err = p.s.Supervise(); err != nil {
					t.Fatal(err)
				}
				defer done(nil)
			}
			g.word <- tt.word
			if err := soon(t, tried, 5*time.Second, "Login"); (err != nil) != (tt.word != nil) {
				t.Fatalf("Login returned %v", err)
			}
			if tt.over {
				soon(t, p.l.ended, time.Second, "Over")
				if p.l.cause != cause || queued.State() != xmpp.ReceiptNotDelivered || p.l.track().Held() {
					t.Errorf("over because of %v, the receipt is %v, held %v", p.l.cause, queued.State(), p.l.track().Held())
				}
				return
			}
			if tt.word != nil {
				soon(t, p.gone, time.Second, "DidDisconnect")
				g.word <- nil
				p.login(xmpp.SessionResumed)
			}
			p.send("new")
			p.receives("queued", "new")
			if len(p.l.ended) > 0 || p.s.MyPresence() == nil {
				t.Error("the session is over")
			}
			p.lose() // what was given up is forgotten
			g.word <- errByTest
			_ = p.s.Login(within(t, 5*time.Second))
			if len(p.l.ended) > 0 || !p.l.track().Held() {
				t.Error("the session is over after another loss")
			}
		})
	}
}

package reliability

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// waits are the times for which a client has waited for its server, each from the call of Read to its return.
type waits struct {
	mu      sync.Mutex
	sum     time.Duration
	longest time.Duration
}

func (w *waits) take() (sum, longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sum, longest = w.sum, w.longest
	w.sum, w.longest = 0, 0
	return sum, longest
}

// timedConn notes them.
type timedConn struct {
	net.Conn
	w *waits
}

func (c timedConn) Read(p []byte) (int, error) {
	begin := time.Now()
	n, err := c.Conn.Read(p)
	if err == nil { // else it is the end
		d := time.Since(begin)
		c.w.mu.Lock()
		c.w.sum, c.w.longest = c.w.sum+d, max(c.w.longest, d)
		c.w.mu.Unlock()
	}
	return n, err
}

// TestResumeTime: how long a resumption takes is up to the server. What the library adds, the wait before the attempt included, is a fraction of a second.
// ejabberd 26 answers <resume/> a second late, others at once.
func TestResumeTime(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		jid, password := srv.NewAccountAt(t, integration.Lean)
		w, dialer := new(waits), new(xmpptest.FaultDialer)
		cfg := configOf(t, srv, jid, password)
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			return timedConn{c, w}, err
		}
		c := newClient(t, cfg, sm.Config{}).login(t)
		<-c.kinds
		least, longest := time.Hour, time.Hour
		for range 5 {
			until(t, 5*time.Second, "all acknowledged", func() bool { return c.sm.Stats().Unacked == 0 })
			dialer.Reset()
			begin := time.Now()
			w.take()
			select {
			case kind := <-c.kinds:
				if kind != xmpp.SessionResumed {
					t.Fatal("not resumed")
				}
			case <-time.After(20 * time.Second):
				t.Fatal("no session")
			}
			total := time.Since(begin)
			sum, long := w.take()
			least, longest = min(least, total-sum), min(longest, long)
		}
		if least > 300*time.Millisecond {
			t.Errorf("the library adds %v", least)
		}
		t.Logf("the server lets the client wait for %v at once, the library adds %v", longest.Round(time.Millisecond), least.Round(time.Millisecond))
	})
}

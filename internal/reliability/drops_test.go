package reliability

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRel_R07: 10,000 messages each way over a connection that is reset at 100 random bytes.
// None is lost, none comes twice, all come in order, and each is acknowledged; in a minute, but for the second that ejabberd 26 takes for each resumption (TestResumeTime).
func TestRel_R07(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		if srv.Kind != integration.Ejabberd26 {
			drops(t, srv)
		}
	})
}

// TestRel_R07_Waiting is the part of ejabberd 26, beside what waits, too.
func TestRel_R07_Waiting(t *testing.T) {
	t.Parallel()
	drops(t, integration.Shared(t, integration.Ejabberd26))
}

func drops(t *testing.T, srv *integration.Server) {
	const n, cuts = 10_000, 100
	window := window(srv)
	jid, password := srv.NewAccountAt(t, integration.Lean)
	dialer := &xmpptest.FaultDialer{Faults: xmpptest.RandomResets(7, 500, 60_000), Budget: cuts}
	cfg := configOf(t, srv, jid, password)
	cfg.Dial = dialer.DialContext
	if srv.Kind == integration.Ejabberd26 { // what comes in the instant of a resumption it may misplace (docs/reliability.md): by then the window is full
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(100 * time.Millisecond)
			return dialer.DialContext(ctx, network, addr)
		}
	}
	other, otherPassword := srv.NewAccountAt(t, integration.Lean)
	// With few messages under way much gets through between two cuts.
	smc := sm.Config{RequestAfter: 10}
	steady := newClient(t, configOf(t, srv, other, otherPassword), smc).login(t)
	shaken := newClient(t, cfg, smc)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	for shaken.Login(ctx) != nil { // the first login may be cut, too
		if ctx.Err() != nil {
			t.Fatal("no login")
		}
	}
	begin := time.Now()
	send := func(from, to *client) chan []*xmpp.Receipt {
		jid := to.MyJID()
		done := make(chan []*xmpp.Receipt, 1)
		go func() {
			list := make([]*xmpp.Receipt, n)
			for i := range list {
				for i-to.different() > window && ctx.Err() == nil {
					time.Sleep(100 * time.Microsecond)
				}
				r, err := from.SendReceipt(ctx, numbered(jid, i))
				if err != nil {
					t.Errorf("message %d of %s: %v", i, from.MyJID(), err)
					break
				}
				list[i] = r
			}
			done <- list
		}()
		return done
	}
	out, in := send(shaken, steady), send(steady, shaken)
	receipts := [][]*xmpp.Receipt{<-out, <-in}
	until(t, time.Minute, "all messages", func() bool { return steady.different() == n && shaken.different() == n })
	for i, list := range receipts {
		if states := tally(t, list, 20*time.Second); states[xmpp.ReceiptAcked] != n {
			t.Errorf("direction %d: the receipts are %v", i, states)
		}
	}
	for _, c := range []*client{shaken, steady} {
		if lost, twice, disorder := c.check(n); lost+twice+disorder > 0 {
			t.Errorf("%s: %d lost, %d twice, %d out of order", c.MyJID(), lost, twice, disorder)
		}
	}
	resumed, limit := shaken.sessions(xmpp.SessionResumed), time.Minute
	if srv.Kind == integration.Ejabberd26 {
		limit += cuts * time.Second
	}
	if took := time.Since(begin); took > limit {
		t.Errorf("it took %v", took)
	}
	if dialer.Cuts() < cuts {
		t.Errorf("only %d cuts", dialer.Cuts())
	}
	t.Logf("%d messages each way, %d cuts, %d connections, %d resumptions, %v", n, dialer.Cuts(), dialer.Dialled(), resumed, time.Since(begin).Round(time.Millisecond))
}

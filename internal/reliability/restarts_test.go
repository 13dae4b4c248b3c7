package reliability

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/sm"
)

// TestRel_R06: 10,000 messages while the server is restarted ten times, killed every other time.
// Every receipt ends in one state, and the sums agree with what the other side saw:
// nothing that was not delivered was seen, and all that was seen was sent.
//
// With ResendOnNewSession what a session has left is sent on the next: then every message is acknowledged in the end.
func TestRel_R06(t *testing.T) { restarts(t, sm.Config{}) }

func TestRel_R09(t *testing.T) { restarts(t, sm.Config{ResendOnNewSession: true}) }

func restarts(t *testing.T, cfg sm.Config) {
	const n, times = 10_000, 10
	t.Parallel() // it mostly waits for servers to start
	for _, kind := range integration.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			srv := integration.Start(t, kind)
			jid, password := srv.NewAccountAt(t, integration.Lean)
			other, otherPassword := srv.NewAccountAt(t, integration.Lean)
			to := newClient(t, configOf(t, srv, other, otherPassword), cfg).login(t)
			from := newClient(t, configOf(t, srv, jid, password), cfg).login(t)
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			begin := time.Now()
			receipts := make([]*xmpp.Receipt, n)
			var sent atomic.Int64
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range receipts {
					// A stream that is between two sessions takes nothing: the application tries again.
					for ctx.Err() == nil {
						for from.sm.Stats().Unacked > 200 && ctx.Err() == nil {
							time.Sleep(time.Millisecond) // there is no point in queueing for a server that is away
						}
						var err error
						if receipts[i], err = from.SendReceipt(ctx, numbered(to.MyJID().Bare(), i)); err == nil {
							break
						}
						time.Sleep(time.Millisecond)
					}
					sent.Add(1)
					if i%10 == 0 {
						time.Sleep(time.Millisecond) // so that the restarts fall among the messages
					}
				}
			}()
			for i := range times {
				until(t, time.Minute, "messages", func() bool { return sent.Load() >= int64(n/times*i+n/times/2) })
				srv.Restart(t, i%2 == 1)
			}
			<-done
			until(t, 30*time.Second, "the last session", from.IsAuthenticated)
			until(t, 30*time.Second, "the last session of the other", to.IsAuthenticated)
			if err := from.sm.WaitAcked(ctx); err != nil {
				t.Errorf("WaitAcked: %v", err)
			}
			states := tally(t, receipts, 30*time.Second)
			if sum := states[xmpp.ReceiptAcked] + states[xmpp.ReceiptUnknown] + states[xmpp.ReceiptNotDelivered]; sum != n {
				t.Errorf("the receipts are %v, which are %d of %d", states, sum, n)
			}
			if cfg.ResendOnNewSession && states[xmpp.ReceiptAcked] != n {
				t.Errorf("the receipts are %v: not all were sent again", states)
			}
			// What the server has taken and not yet passed on comes until it is quiet.
			for before := -1; before != to.different(); time.Sleep(500 * time.Millisecond) {
				before = to.different()
			}
			wrong, vanished := 0, 0
			for i, r := range receipts {
				switch state := r.State(); {
				case state == xmpp.ReceiptNotDelivered && to.got(i):
					wrong++
				case state == xmpp.ReceiptAcked && !to.got(i):
					vanished++ // in the memory of a server that was killed
				}
			}
			if wrong > 0 {
				t.Errorf("%d messages that were not delivered were seen", wrong)
			}
			_, twice, _ := to.check(n)
			if live := to.liveTwice(); !cfg.ResendOnNewSession && live > 0 {
				t.Errorf("%d messages came twice although none was sent twice", live)
			}
			resumed := from.sessions(xmpp.SessionResumed)
			t.Logf("%v, %d seen, %d twice, %d acknowledged and not seen, %d resumptions, %v",
				states, to.different(), twice, vanished, resumed, time.Since(begin).Round(time.Millisecond))
		})
	}
}

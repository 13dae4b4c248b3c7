package entitytime_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/entitytime"
)

// TestIntegration compares the clock with that of a real server, which is the same one, and with that of another client through it.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		looked := watch{make(chan time.Duration, 10)}
		client := func(cfg entitytime.Config) (*entitytime.EntityTime, *xmpp.Stream) {
			m := entitytime.New(cfg)
			m.AddDelegate(looked, nil)
			return m, srv.Client(t, func(s *xmpp.Stream) {
				if err := m.Activate(s); err != nil {
					t.Fatal(err)
				}
			})
		}
		near := func(what string, got, want time.Duration) {
			t.Helper()
			if (got - want).Abs() > 2*time.Second { // servers answer in whole seconds
				t.Errorf("%s: the difference is %v, want about %v", what, got, want)
			}
		}
		a, _ := client(entitytime.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		select {
		case d := <-looked.looked:
			near("the automatic look", d, 0)
		case <-ctx.Done():
			t.Fatal("no automatic look")
		}
		near("Now", time.Until(a.Now()), 0)
		r, err := a.Query(ctx, xmpp.JID{})
		if err != nil || r.RTT <= 0 {
			t.Errorf("the server: %+v, %v", r, err)
		}
		t.Logf("the server: %+v", r)
		_, sb := client(entitytime.Config{Interval: -1, Clock: func() time.Time { return time.Now().Add(time.Hour).In(time.FixedZone("", -(3*60+30)*60)) }})
		r, err = a.Query(ctx, sb.MyJID())
		if err != nil || r.Offset != -(3*time.Hour+30*time.Minute) {
			t.Errorf("the other client: %+v, %v", r, err)
		}
		near("the other client", r.Difference, time.Hour)
	})
}

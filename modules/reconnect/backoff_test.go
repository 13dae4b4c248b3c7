package reconnect_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/modules/reconnect"
)

// TestRel_R05_Spread: 1,000 clients lose the same server in the same moment, and it stays away.
// The first attempt of each comes within a second; after the fifth no second has more than one client in twenty.
func TestRel_R05_Spread(t *testing.T) {
	const clients, hour = 1000, 3600
	worst := 0
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 198))
		var perSecond [hour]int
		for range clients {
			wait, at := reconnect.Waits(time.Second, time.Minute, random.Float64), time.Duration(0)
			for n := 1; at < hour*time.Second; n++ {
				d := wait()
				if n == 1 && d > time.Second || d > time.Minute || d < 0 || n > 12 && d < 36*time.Second {
					t.Fatalf("seed %d: wait %d is %v", seed, n, d)
				}
				if at += d; n > 5 && at < hour*time.Second {
					perSecond[at/time.Second]++
				}
			}
		}
		for second, n := range perSecond {
			if worst = max(worst, n); n > clients/20 {
				t.Errorf("seed %d: %d of %d clients come in second %d", seed, n, clients, second)
			}
		}
	}
	t.Logf("at most %d of %d clients in one second", worst, clients)
}

// TestWaits: bounds for other configurations, and that jitter is there: no two clients wait alike.
func TestWaits(t *testing.T) {
	for _, c := range []struct{ initial, maximum time.Duration }{{time.Second, time.Minute}, {time.Millisecond, 10 * time.Millisecond}, {time.Minute, time.Second}, {1, 1}} {
		a, b := reconnect.Waits(c.initial, c.maximum, nil), reconnect.Waits(c.initial, c.maximum, nil)
		same := 0
		for n := range 50 {
			x, y := a(), b()
			if x < 0 || x > c.maximum || n == 0 && x > c.initial {
				t.Errorf("%v: wait %d is %v", c, n, x)
			}
			if x == y {
				same++
			}
		}
		if same > 5 && c.maximum > 1 {
			t.Errorf("%v: two clients agree in %d of 50 waits", c, same)
		}
	}
}

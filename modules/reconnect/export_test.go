package reconnect

import (
	"time"

	"github.com/go-xmppframework/xmpp"
)

// SetWall replaces the clock on the wall. It is called before the module is activated.
func (r *Reconnect) SetWall(now func() time.Time) { r.wall = now }

// Waits is the sequence of waits of one client for failure after failure, from a source in [0, 1).
func Waits(initial, maximum time.Duration, random func() float64) func() time.Duration {
	b := &backoff{initial: initial, max: maximum, random: random}
	return b.next
}

// Redirect is the address of a see-other-host.
var Redirect = redirect

// Queue is where the module hears of the stream.
func (r *Reconnect) Queue() *xmpp.Queue { return r.queue }

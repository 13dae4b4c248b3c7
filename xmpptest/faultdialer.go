package xmpptest

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
)

// FaultDialer dials connections with faults, one after another, and gives access to those that are open.
// DialContext is meant for the configuration of a client, of a server in memory or of a real one:
//
//	dialer := &xmpptest.FaultDialer{Faults: xmpptest.RandomResets(1, 2000, 50_000), Budget: 100}
//	config.Dial = dialer.DialContext
//
// It counts and cuts bytes as they are on the wire, under TLS too. To cut at steps of the negotiation see [Server.CutAt];
// with a real server, where there is no such method, a Faults function that grows with n comes through all of them.
//
// All methods may be called at the same time. The fields are set before the first.
type FaultDialer struct {
	// Dial makes the connections below. If nil, they are those of a [net.Dialer].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Faults says what goes wrong on a connection; n counts the connections from 0.
	// It may be called at the same time for several. If nil, nothing does.
	Faults func(n int) Faults
	// Budget is how many connections are cut by their Faults; those that come to a limit later go on without one,
	// so that what the test has sent can arrive in the end.
	// If zero, there is no end to it: every connection that comes to its limit is cut, the one that is to bring the rest as well.
	Budget int

	mu      sync.Mutex
	dialled int
	spent   int // of Budget
	cuts    int
	refuse  bool
	open    []*FaultConn
}

// DialContext makes a connection. Its type is *[FaultConn].
func (d *FaultDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	refuse := d.refuse
	d.mu.Unlock()
	if refuse {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	dial := d.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	below, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	n := d.dialled
	d.dialled++
	d.mu.Unlock()
	var f Faults
	if d.Faults != nil {
		f = d.Faults(n)
	}
	c := NewFaultConn(below, f)
	c.dialer, c.account.permit = d, d.permit
	d.mu.Lock()
	d.open = append(d.open, c)
	d.mu.Unlock()
	return c, nil
}

// permit takes a cut from the budget. It is called with the connection's mu held.
func (d *FaultDialer) permit() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Budget > 0 && d.spent >= d.Budget {
		return false
	}
	d.spent++
	d.cuts++
	return true
}

func (d *FaultDialer) noteCut() {
	d.mu.Lock()
	d.cuts++
	d.mu.Unlock()
}

func (d *FaultDialer) forget(c *FaultConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = slices.DeleteFunc(d.open, func(o *FaultConn) bool { return o == c })
}

// Refuse makes new connections fail with ECONNREFUSED for as long as it is set. Those that exist go on.
func (d *FaultDialer) Refuse(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = on
}

// Current returns the connection made last of those that the client has not closed, nil if there is none.
func (d *FaultDialer) Current() *FaultConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.open) == 0 {
		return nil
	}
	return d.open[len(d.open)-1]
}

// Conns returns the connections that the client has not closed, oldest first.
func (d *FaultDialer) Conns() []*FaultConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.open)
}

// Reset resets every connection that is alive and returns how many those were. They are not taken from the budget.
func (d *FaultDialer) Reset() int {
	n := 0
	for _, c := range d.Conns() {
		if c.breakOff() {
			n++
		}
	}
	return n
}

// Dialled returns how many connections were made.
func (d *FaultDialer) Dialled() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dialled
}

// Cuts returns how many connections were cut: by their Faults, by [FaultDialer.Reset] or by their own Reset.
func (d *FaultDialer) Cuts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cuts
}

package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing/synctest"
	"time"
)

// fakeResolver answers from tables. What is in no table does not exist.
type fakeResolver struct {
	srv      map[string][]*net.SRV    // "xmpp-client" or "xmpps-client"
	srvErr   map[string]error         // by service
	srvDelay map[string]time.Duration // by service
	addrs    map[string][]netip.Addr  // by host
	ipErr    map[string]error         // by network
	ipDelay  map[string]time.Duration // by network
	deaf     bool                     // delays ignore ctx

	mu    sync.Mutex
	asked []string
}

func (f *fakeResolver) record(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, s)
}

func (f *fakeResolver) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(slices.Values(f.asked))
}

func (f *fakeResolver) wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	if f.deaf {
		time.Sleep(d)
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return &net.DNSError{Err: "i/o timeout", IsTimeout: true, IsTemporary: true}
	}
}

func (f *fakeResolver) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	f.record("_" + service + "._" + proto + "." + name)
	if err := f.wait(ctx, f.srvDelay[service]); err != nil {
		return "", nil, err
	}
	err := f.srvErr[service]
	if err == nil && len(f.srv[service]) == 0 {
		err = errNXDOMAIN
	}
	return name, f.srv[service], err
}

func (f *fakeResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	f.record(network + " " + host)
	if err := f.wait(ctx, f.ipDelay[network]); err != nil {
		return nil, err
	}
	if err := f.ipErr[network]; err != nil {
		return nil, err
	}
	if len(f.addrs[host]) == 0 {
		return nil, errNXDOMAIN
	}
	return f.addrs[host], nil // both families: Dial filters
}

var (
	errNXDOMAIN = &net.DNSError{Err: "no such host", IsNotFound: true}
	errSERVFAIL = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	errRefused  = errors.New("connection refused")
)

// fakeNet dials by table. An address in no table accepts at once.
type fakeNet struct {
	refuse    []string                 // refused at once
	blackhole []string                 // never answers; ends with ctx
	delay     map[string]time.Duration // accepts late, whatever ctx says
	deaf      bool                     // a black hole that ignores ctx for an hour

	mu     sync.Mutex
	start  time.Time
	dialed []string
	at     []time.Duration
	conns  []*fakeConn
}

type fakeConn struct {
	net.Conn
	addr   string
	mu     sync.Mutex
	closed bool
}

func (c *fakeConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (c *fakeConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (n *fakeNet) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock()
	if n.start.IsZero() {
		n.start = time.Now()
	}
	n.dialed = append(n.dialed, addr)
	n.at = append(n.at, time.Since(n.start))
	n.mu.Unlock()
	if slices.Contains(n.refuse, addr) {
		return nil, errRefused
	}
	if slices.Contains(n.blackhole, addr) {
		if n.deaf {
			time.Sleep(time.Hour)
		} else {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	if d := n.delay[addr]; d > 0 {
		time.Sleep(d)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &fakeConn{addr: addr}
	n.conns = append(n.conns, c)
	return c, nil
}

// addrs parses addresses for a table.
func addrs(s ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// settle lets every call that ignores its ctx come to its end: a bubble may not be left with sleepers in it.
// It must be the last thing to happen on the bubble's clock.
func settle() {
	time.Sleep(2 * time.Hour)
	synctest.Wait()
}

// open lists the connections that are not closed.
func (n *fakeNet) open() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, c := range n.conns {
		if !c.isClosed() {
			out = append(out, c.addr)
		}
	}
	return out
}

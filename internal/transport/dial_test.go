package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

func TestDialOrder(t *testing.T) {
	const v6a, v6b, v6c = "[2001:db8::1]:5222", "[2001:db8::2]:5222", "[2001:db8::3]:5222"
	const v4a, v4b = "192.0.2.1:5222", "192.0.2.2:5222"
	all := addrs("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3")
	everything := []string{v6a, v4a, v6b, v4b, v6c}

	tests := []struct {
		name   string
		addrs  []netip.Addr
		r      fakeResolver
		net    fakeNet
		v4     bool // IPv4 preferred
		dialed []string
		at     []time.Duration
		want   string
		took   time.Duration
	}{
		{name: "first answers", addrs: all, dialed: []string{v6a}, at: []time.Duration{0}, want: v6a},
		{name: "IPv4 preferred", addrs: all, v4: true, dialed: []string{v4a}, at: []time.Duration{0}, want: v4a},
		{name: "families alternate, one every 250 ms", addrs: all, net: fakeNet{blackhole: []string{v6a, v4a, v6b, v4b}},
			dialed: everything, at: []time.Duration{0, 250 * ms, 500 * ms, 750 * ms, 1000 * ms}, want: v6c, took: time.Second},
		{name: "IPv4 first, then alternating", addrs: all, v4: true, net: fakeNet{blackhole: everything[:4]},
			dialed: []string{v4a, v6a, v4b, v6b, v6c}, at: []time.Duration{0, 250 * ms, 500 * ms, 750 * ms, 1000 * ms}, want: v6c, took: time.Second},
		// AAAA comes second, so that both families are known when the first attempt starts.
		{name: "a refusal does not wait", addrs: all, r: fakeResolver{ipDelay: map[string]time.Duration{"ip6": 10 * ms}}, net: fakeNet{refuse: []string{v6a, v4a, v6b}},
			dialed: everything[:4], at: []time.Duration{0, 0, 0, 0}, want: v4b, took: 10 * ms},
		{name: "a slow first one may still win", addrs: all, net: fakeNet{delay: map[string]time.Duration{v6a: 400 * ms}, blackhole: []string{v4a}},
			dialed: []string{v6a, v4a}, at: []time.Duration{0, 250 * ms}, want: v6a, took: 400 * ms},
		{name: "AAAA is late, within the resolution delay", addrs: all, r: fakeResolver{ipDelay: map[string]time.Duration{"ip6": 40 * ms}},
			dialed: []string{v6a}, at: []time.Duration{0}, want: v6a, took: 40 * ms},
		{name: "AAAA is later than that", addrs: all, r: fakeResolver{ipDelay: map[string]time.Duration{"ip6": 200 * ms}},
			dialed: []string{v4a}, at: []time.Duration{0}, want: v4a, took: 50 * ms},
		{name: "AAAA comes after the first attempt", addrs: all, r: fakeResolver{ipDelay: map[string]time.Duration{"ip6": 100 * ms}}, net: fakeNet{blackhole: []string{v4a}},
			dialed: []string{v4a, v6a}, at: []time.Duration{0, 250 * ms}, want: v6a, took: 300 * ms},
		{name: "A is slow: not waited for", addrs: all, r: fakeResolver{ipDelay: map[string]time.Duration{"ip4": time.Minute}},
			dialed: []string{v6a}, at: []time.Duration{0}, want: v6a},
		{name: "AAAA fails", addrs: all, r: fakeResolver{ipErr: map[string]error{"ip6": errSERVFAIL}},
			dialed: []string{v4a}, at: []time.Duration{0}, want: v4a},
		{name: "IPv4 only", addrs: all[:2], net: fakeNet{refuse: []string{v4a}}, dialed: []string{v4a, v4b}, at: []time.Duration{0, 0}, want: v4b},
		{name: "IPv6 only", addrs: all[2:], v4: true, dialed: []string{v6a}, at: []time.Duration{0}, want: v6a},
		{name: "mapped and repeated addresses", addrs: addrs("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"), net: fakeNet{refuse: []string{v4a}},
			dialed: []string{v4a, v4b}, at: []time.Duration{0, 0}, want: v4b},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.r.addrs = map[string][]netip.Addr{"host.example": tt.addrs}
				start := time.Now()
				conn, err := Dial(t.Context(), &tt.r, tt.net.dial, Target{Host: "host.example", Port: 5222}, !tt.v4)
				took := time.Since(start)
				if err != nil {
					t.Fatal(err)
				}
				if got := conn.(*fakeConn); got.addr != tt.want || got.isClosed() || took != tt.took {
					t.Errorf("connected to %s (closed %v) after %v, want %s after %v", got.addr, got.isClosed(), took, tt.want, tt.took)
				}
				settle()
				if !slices.Equal(tt.net.dialed, tt.dialed) || !slices.Equal(tt.net.at, tt.at) {
					t.Errorf("dialed %q at %v, want %q at %v", tt.net.dialed, tt.net.at, tt.dialed, tt.at)
				}
			})
		})
	}
}

// A loser that connects after all is closed; the winner is not.
func TestDialClosesLosers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeResolver{addrs: map[string][]netip.Addr{"h": addrs("2001:db8::1", "192.0.2.1", "192.0.2.2")}}
		n := &fakeNet{delay: map[string]time.Duration{
			"[2001:db8::1]:5222": time.Second, "192.0.2.1:5222": 100 * ms, "192.0.2.2:5222": 100 * ms,
		}}
		conn, err := Dial(t.Context(), r, n.dial, Target{Host: "h", Port: 5222}, true)
		if err != nil {
			t.Fatal(err)
		}
		settle()
		if len(n.conns) != 2 {
			t.Fatalf("%d connections made, want 2", len(n.conns))
		}
		for _, c := range n.conns {
			if c.isClosed() == (c == conn) {
				t.Errorf("%s closed = %v, winner %v", c.addr, c.isClosed(), c == conn)
			}
		}
	})
}

// Two connections that succeed in the same instant: one is returned, the other closed, every time.
func TestDialTie(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			r := &fakeResolver{addrs: map[string][]netip.Addr{"h": addrs("2001:db8::1", "192.0.2.1")}}
			n := &fakeNet{delay: map[string]time.Duration{"[2001:db8::1]:5222": 500 * ms, "192.0.2.1:5222": 250 * ms}}
			ctx, cancel := context.WithTimeout(t.Context(), 500*ms) // and the ctx ends in that instant too
			defer cancel()
			conn, err := Dial(ctx, r, n.dial, Target{Host: "h", Port: 5222}, true)
			settle()
			open := len(n.open())
			if (err == nil) != (conn != nil) || (conn != nil) != (open == 1) || open > 1 {
				t.Fatalf("Dial = %v, %v with %d connections left open", conn, err, open)
			}
		})
	}
}

func TestDialEnds(t *testing.T) {
	two := addrs("2001:db8::1", "192.0.2.1")
	holes := []string{"[2001:db8::1]:5222", "192.0.2.1:5222"}
	tests := []struct {
		name   string
		r      fakeResolver
		net    fakeNet
		ctx    time.Duration // 0: no limit
		target time.Duration // Target.Timeout
		is     error
		addrs  []string // of the DialErrors
		took   time.Duration
	}{
		{name: "all refuse", net: fakeNet{refuse: holes}, is: errRefused, addrs: holes},
		{name: "cancelled", net: fakeNet{blackhole: holes}, ctx: time.Second, is: context.Canceled, addrs: holes, took: time.Second},
		{name: "cancelled, dialer ignores ctx", net: fakeNet{blackhole: holes, deaf: true}, ctx: time.Second, is: context.Canceled, addrs: holes, took: time.Second},
		{name: "default limit", net: fakeNet{blackhole: holes}, is: ErrTimeout, addrs: holes, took: 15 * time.Second},
		{name: "limit of the target", net: fakeNet{blackhole: holes, deaf: true}, target: 4 * time.Second, is: ErrTimeout, addrs: holes, took: 4 * time.Second},
		{name: "one refuses, one is silent", net: fakeNet{refuse: holes[:1], blackhole: holes[1:], deaf: true}, target: 4 * time.Second, is: errRefused, addrs: holes, took: 4 * time.Second},
		{name: "lookup is silent", r: fakeResolver{ipDelay: map[string]time.Duration{"ip4": time.Hour, "ip6": time.Hour}, deaf: true}, target: 4 * time.Second,
			is: ErrTimeout, addrs: []string{"h:5222"}, took: 4 * time.Second},
		{name: "lookup is silent, cancelled", r: fakeResolver{ipDelay: map[string]time.Duration{"ip4": time.Hour, "ip6": time.Hour}, deaf: true}, ctx: time.Second,
			is: context.Canceled, addrs: []string{"h:5222"}, took: time.Second},
		{name: "lookups fail", r: fakeResolver{ipErr: map[string]error{"ip4": errSERVFAIL, "ip6": errNXDOMAIN}}, is: errSERVFAIL, addrs: []string{"h:5222"}},
		{name: "cancelled before", net: fakeNet{}, ctx: -1, is: context.Canceled, addrs: []string{"h:5222"}},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.r.addrs = map[string][]netip.Addr{"h": two}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.ctx > 0 {
					time.AfterFunc(tt.ctx, cancel)
				} else if tt.ctx < 0 {
					cancel()
				}
				start := time.Now()
				conn, err := Dial(ctx, &tt.r, tt.net.dial, Target{Host: "h", Port: 5222, Timeout: tt.target}, true)
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if conn != nil || !errors.Is(err, tt.is) {
					t.Fatalf("Dial = %v, %v, want %v", conn, err, tt.is)
				}
				if got := dialErrorAddrs(err); !slices.Equal(got, tt.addrs) {
					t.Errorf("failures at %q, want %q", got, tt.addrs)
				}
				if tt.ctx == 0 && tt.target != 0 && !errors.Is(err, ErrTimeout) {
					t.Errorf("error %v, want ErrTimeout in it", err)
				}
				if tt.ctx < 0 && len(tt.net.dialed) > 0 {
					t.Errorf("dialed %q with a ctx that had ended", tt.net.dialed)
				}
				settle()
				if open := tt.net.open(); len(open) > 0 {
					t.Errorf("late connections left open: %q", open)
				}
			})
		})
	}
	var ne net.Error
	if !errors.As(&DialError{Err: ErrTimeout}, &ne) || !ne.Timeout() {
		t.Error("ErrTimeout is not a net.Error that is a time-out")
	}
}

// dialErrorAddrs lists the distinct addresses of the DialErrors in a joined error, sorted IPv6 first as given.
func dialErrorAddrs(err error) []string {
	var out []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			var d *DialError
			if errors.As(e, &d) && !slices.Contains(out, d.Addr) {
				out = append(out, d.Addr)
			}
		}
	}
	slices.Sort(out)
	slices.Reverse(out) // "[" sorts behind digits
	return out
}

func TestDialNoAddress(t *testing.T) {
	r := resolverFunc(func() ([]netip.Addr, error) { return nil, nil })
	_, err := Dial(t.Context(), r, new(fakeNet).dial, Target{Host: "h", Port: 5222}, true)
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound {
		t.Errorf("error %v, want a *net.DNSError with IsNotFound", err)
	}
}

// resolverFunc answers every address lookup alike.
type resolverFunc func() ([]netip.Addr, error)

func (f resolverFunc) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, errNXDOMAIN
}
func (f resolverFunc) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return f() }

func TestDialManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeResolver{addrs: map[string][]netip.Addr{}}
		n := &fakeNet{}
		for i := range 200 {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			r.addrs["h"] = append(r.addrs["h"], a)
			n.refuse = append(n.refuse, netip.AddrPortFrom(a, 5222).String())
		}
		if _, err := Dial(t.Context(), r, n.dial, Target{Host: "h", Port: 5222}, true); !errors.Is(err, errRefused) {
			t.Errorf("error %v", err)
		}
		if len(n.dialed) != maxPerFamily {
			t.Errorf("%d addresses tried, want %d", len(n.dialed), maxPerFamily)
		}
	})
}

func TestDialLiteral(t *testing.T) {
	for host, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:5222", "2001:db8::1": "[2001:db8::1]:5222", "fe80::1%eth0": "[fe80::1%eth0]:5222",
	} {
		r := &fakeResolver{}
		conn, err := Dial(t.Context(), r, new(fakeNet).dial, Target{Host: host, Port: 5222}, true)
		if err != nil || conn.(*fakeConn).addr != want || len(r.questions()) != 0 {
			t.Errorf("Dial(%s) = %v, %v after asking %q, want %s", host, conn, err, r.questions(), want)
		}
	}
}

func TestDialNothing(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	if conn, err := Dial(t.Context(), &fakeResolver{}, dial, Target{Host: "192.0.2.1", Port: 1}, true); err == nil {
		t.Errorf("Dial = %v, want an error for a dialer that returns nothing", conn)
	}
}

// The defaults, over the real loopback: the resolver of the system reads its hosts file.
func TestDialDefaults(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := uint16(ln.Addr().(*net.TCPAddr).Port)
	conn, err := Dial(t.Context(), nil, nil, Target{Host: "127.0.0.1", Port: port}, true)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	ln.Close()
	if _, err := Dial(t.Context(), nil, nil, Target{Host: "127.0.0.1", Port: port}, true); err == nil {
		t.Error("connected to a closed port")
	}
}

// TLS-12: DANE is not implemented, and the documentation says so.
func TestSec_TLS12(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "DANE (TLSA records, RFC 7673) is not implemented") {
		t.Error("doc.go does not say that DANE is not implemented")
	}
}

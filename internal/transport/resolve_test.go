package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var _ Resolver = (*net.Resolver)(nil)

func rec(host string, port, prio, weight uint16) *net.SRV {
	return &net.SRV{Target: host, Port: port, Priority: prio, Weight: weight}
}

// brief writes targets as a table can hold them: "host:port", with "!" for direct TLS.
func brief(ts []Target) string {
	var out []string
	for _, t := range ts {
		s := t.Addr()
		if t.DirectTLS {
			s += "!"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestSec_TLS10(t *testing.T) {
	type srv = map[string][]*net.SRV
	type errs = map[string]error
	type delays = map[string]time.Duration
	const c, cs = "xmpp-client", "xmpps-client"
	dot := []*net.SRV{rec(".", 0, 0, 0)}
	one := []*net.SRV{rec("a.example.", 5222, 0, 0)}
	oneTLS := []*net.SRV{rec("t.example.", 443, 0, 0)}

	tests := []struct {
		name   string
		domain string // empty: example.org
		srv    srv
		errs   errs
		delay  delays
		opt    Options
		want   string // brief; empty: an error
		is     error
		took   time.Duration
	}{
		{name: "both services are one list", srv: srv{c: {rec("a.example.", 5222, 10, 0), rec("b.example.", 5222, 30, 0)}, cs: {rec("t.example.", 443, 20, 0)}},
			want: "a.example:5222 t.example:443! b.example:5222"},
		{name: "only STARTTLS", srv: srv{c: one}, want: "a.example:5222"},
		{name: "only direct TLS", srv: srv{cs: oneTLS}, want: "t.example:443!"},
		{name: "prefer direct TLS", srv: srv{c: one, cs: {rec("t.example.", 443, 99, 0)}}, opt: Options{PreferDirectTLS: true}, want: "t.example:443! a.example:5222"},
		{name: "no direct TLS", srv: srv{c: one, cs: oneTLS}, opt: Options{NoDirectTLS: true}, want: "a.example:5222"},
		{name: "no direct TLS, nothing else", srv: srv{cs: oneTLS}, opt: Options{NoDirectTLS: true}, is: ErrNoService},
		{name: "repeated record", srv: srv{c: {rec("a.example.", 5222, 0, 0), rec("A.example.", 5222, 1, 0)}}, want: "a.example:5222"},
		{name: "same host, both kinds", srv: srv{c: {rec("a.example.", 443, 1, 0)}, cs: {rec("a.example.", 443, 0, 0)}}, want: "a.example:443! a.example:443"},

		{name: "dot for both", srv: srv{c: dot, cs: dot}, is: ErrNoService},
		{name: "dot for STARTTLS only", srv: srv{c: dot}, is: ErrNoService},
		{name: "dot for direct TLS only: no address fallback", srv: srv{cs: dot}, is: ErrNoService},
		{name: "dot for direct TLS, records for STARTTLS", srv: srv{c: one, cs: dot}, want: "a.example:5222"},
		{name: "dot for STARTTLS, records for direct TLS", srv: srv{c: dot, cs: oneTLS}, want: "t.example:443!"},
		{name: "dot among others", srv: srv{c: {rec(".", 5222, 0, 0), rec("a.example.", 5222, 1, 0)}}, want: "a.example:5222"},
		{name: "port 0", srv: srv{c: {rec("a.example.", 0, 0, 0)}}, is: ErrNoService},
		{name: "port 0 among others", srv: srv{c: {rec("z.example.", 0, 0, 0), rec("a.example.", 5222, 1, 0)}}, want: "a.example:5222"},
		{name: "empty target", srv: srv{c: {rec("", 5222, 0, 0), nil}}, is: ErrNoService},
		{name: "no host name", srv: srv{c: {rec("a b\n.example.", 5222, 0, 0), rec("user@a.example.", 5222, 0, 0), rec(strings.Repeat("a", 300), 5222, 0, 0)}}, is: ErrNoService},

		{name: "NXDOMAIN", want: "example.org:5222"},
		{name: "NXDOMAIN, wrapped", errs: errs{c: fmt.Errorf("x: %w", errNXDOMAIN)}, want: "example.org:5222"},
		{name: "NXDOMAIN, prefer direct TLS", opt: Options{PreferDirectTLS: true}, want: "example.org:5223! example.org:5222"},
		{name: "NXDOMAIN, prefer and refuse direct TLS", opt: Options{PreferDirectTLS: true, NoDirectTLS: true}, want: "example.org:5222"},
		{name: "SERVFAIL for both", errs: errs{c: errSERVFAIL, cs: errSERVFAIL}, is: errSERVFAIL},
		{name: "SERVFAIL for one, nothing for the other", errs: errs{cs: errSERVFAIL}, is: errSERVFAIL},
		{name: "SERVFAIL for one, dot for the other", srv: srv{cs: dot}, errs: errs{c: errSERVFAIL}, is: errSERVFAIL},
		{name: "SERVFAIL does not hide direct TLS", srv: srv{cs: oneTLS}, errs: errs{c: errSERVFAIL}, want: "t.example:443!"},
		{name: "SERVFAIL does not hide STARTTLS", srv: srv{c: one}, errs: errs{cs: errSERVFAIL}, want: "a.example:5222"},
		{name: "records beside an error", srv: srv{c: one}, errs: errs{c: errors.New("invalid name among the records")}, want: "a.example:5222"},
		{name: "unusable records beside an error", srv: srv{c: dot}, errs: errs{c: errors.New("invalid name among the records")}, is: ErrNoService},
		{name: "an error that is not of DNS", errs: errs{c: errRefused}, is: errRefused},
		{name: "SERVFAIL for localhost", domain: "localhost", errs: errs{c: errSERVFAIL, cs: errSERVFAIL}, want: "localhost:5222"},
		{name: "SERVFAIL below localhost", domain: "im.Localhost", errs: errs{c: errSERVFAIL, cs: errSERVFAIL}, want: "im.Localhost:5222"},
		{name: "dot for localhost", domain: "localhost", srv: srv{c: dot}, is: ErrNoService},

		{name: "answer after 30 s", srv: srv{c: one, cs: oneTLS}, delay: delays{c: 30 * time.Second, cs: 30 * time.Second}, took: 10 * time.Second},
		{name: "answer after 30 s, own limit", srv: srv{c: one, cs: oneTLS}, delay: delays{c: 30 * time.Second, cs: 30 * time.Second},
			opt: Options{LookupTimeout: 2 * time.Second}, took: 2 * time.Second},
		{name: "one answers after 30 s", srv: srv{c: one, cs: oneTLS}, delay: delays{cs: 30 * time.Second}, want: "a.example:5222", took: time.Second},
		{name: "one answers after 30 s, the other has nothing", srv: srv{cs: oneTLS}, delay: delays{cs: 30 * time.Second}, took: 10 * time.Second},
		{name: "one answers a little later", srv: srv{c: one, cs: {rec("t.example.", 443, 1, 0)}}, delay: delays{c: 900 * time.Millisecond},
			want: "a.example:5222 t.example:443!", took: 900 * time.Millisecond},
		{name: "a refused kind starts no grace", srv: srv{c: one, cs: oneTLS}, delay: delays{c: 3 * time.Second}, opt: Options{NoDirectTLS: true}, want: "a.example:5222", took: 3 * time.Second},
	}
	for _, tt := range tests {
		for _, deaf := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s deaf %v", tt.name, deaf), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if tt.domain == "" {
						tt.domain = "example.org"
					}
					r := &fakeResolver{srv: tt.srv, srvErr: tt.errs, srvDelay: tt.delay, deaf: deaf}
					defer settle()
					start := time.Now()
					got, err := Resolve(t.Context(), r, tt.domain, tt.opt)
					if took := time.Since(start); took != tt.took {
						t.Errorf("took %v, want %v", took, tt.took)
					}
					if brief(got) != tt.want || (err == nil) != (tt.want != "") {
						t.Fatalf("Resolve = %q, %v, want %q", brief(got), err, tt.want)
					}
					if tt.is != nil && !errors.Is(err, tt.is) {
						t.Errorf("error %v, want %v", err, tt.is)
					}
					if err != nil && !strings.Contains(err.Error(), tt.domain) {
						t.Errorf("error %q does not name the domain", err)
					}
					if tt.took > 5*time.Second {
						var dns *net.DNSError
						if !errors.As(err, &dns) || !dns.IsTimeout {
							t.Errorf("error %v, want a *net.DNSError that is a time-out", err)
						}
					}
					if want := []string{"_xmpp-client._tcp." + tt.domain + ".", "_xmpps-client._tcp." + tt.domain + "."}; !slices.Equal(r.questions(), want) {
						t.Errorf("asked %q, want %q", r.questions(), want)
					}
				})
			})
		}
	}

	t.Run("1,000 records", func(t *testing.T) {
		r := &fakeResolver{srv: srv{}}
		for i := range 1000 {
			s := []string{c, cs}[i%2]
			r.srv[s] = append(r.srv[s], rec(fmt.Sprintf("h%d.example.", i), 5222, uint16(1000-i), uint16(i)))
		}
		got, err := Resolve(t.Context(), r, "example.org", Options{})
		if err != nil || len(got) != 10 {
			t.Fatalf("%d targets, %v, want 10", len(got), err)
		}
		for i, x := range got {
			if want := fmt.Sprintf("h%d.example", 999-i); x.Host != want || !x.SRV || x.DirectTLS != (i%2 == 0) {
				t.Errorf("target %d = %+v, want %s", i, x, want)
			}
			if (x.Timeout == 0) != (i == 9) {
				t.Errorf("target %d has Timeout %v; only the last may take its time", i, x.Timeout)
			}
		}
	})
	t.Run("random order of equals", func(t *testing.T) {
		r := &fakeResolver{srv: srv{c: {rec("a.", 1, 0, 1), rec("b.", 1, 0, 3)}}}
		rng := rand.New(rand.NewPCG(5, 6))
		first := 0
		for range 10_000 {
			got, err := Resolve(t.Context(), r, "example.org", Options{Rand: rng.IntN})
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Host == "b" {
				first++
			}
			r.asked = r.asked[:0]
		}
		if first < 7200 || first > 7800 {
			t.Errorf("b first in %d of 10,000, want 7,500 ± 300", first)
		}
	})
	t.Run("IP literal", func(t *testing.T) {
		for _, domain := range []string{"192.0.2.1", "2001:db8::1", "[2001:db8::1]"} {
			r := &fakeResolver{srv: srv{c: one}}
			got, err := Resolve(t.Context(), r, domain, Options{})
			if err != nil || len(got) != 1 || got[0] != (Target{Host: strings.Trim(domain, "[]"), Port: 5222}) || len(r.questions()) != 0 {
				t.Errorf("Resolve(%q) = %+v, %v after asking %q", domain, got, err, r.questions())
			}
		}
	})
	t.Run("IDN", func(t *testing.T) {
		r := &fakeResolver{}
		got, err := Resolve(t.Context(), r, "xn--bcher-kva.example", Options{})
		if err != nil || brief(got) != "xn--bcher-kva.example:5222" || r.questions()[0] != "_xmpp-client._tcp.xn--bcher-kva.example." {
			t.Errorf("Resolve = %q, %v after asking %q", brief(got), err, r.questions())
		}
	})
	t.Run("no domain", func(t *testing.T) {
		for _, domain := range []string{"", ".", "[]"} {
			if got, err := Resolve(t.Context(), &fakeResolver{}, domain, Options{}); err == nil {
				t.Errorf("Resolve(%q) = %+v, want an error", domain, got)
			}
		}
	})
	t.Run("IPv6 only", func(t *testing.T) {
		r := &fakeResolver{srv: srv{c: one}, addrs: map[string][]netip.Addr{"a.example": addrs("2001:db8::1")}}
		n := &fakeNet{}
		for _, preferIPv6 := range []bool{true, false} {
			got, err := Resolve(t.Context(), r, "example.org", Options{})
			if err != nil {
				t.Fatal(err)
			}
			conn, err := Dial(t.Context(), r, n.dial, got[0], preferIPv6)
			if err != nil || conn.(*fakeConn).addr != "[2001:db8::1]:5222" {
				t.Errorf("Dial = %v, %v", conn, err)
			}
		}
	})
	t.Run("ctx ends", func(t *testing.T) {
		for _, deaf := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				defer settle()
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				r := &fakeResolver{srvDelay: delays{c: time.Minute, cs: time.Minute}, deaf: deaf}
				start := time.Now()
				_, err := Resolve(ctx, r, "example.org", Options{})
				if took := time.Since(start); !errors.Is(err, context.Canceled) || took != time.Second {
					t.Errorf("error %v after %v, want context.Canceled after 1 s", err, took)
				}
				if _, err := Resolve(ctx, r, "example.org", Options{}); !errors.Is(err, context.Canceled) {
					t.Errorf("error %v with a ctx that has ended", err)
				}
			})
		}
	})
}

// The first target is a black hole: the second is reached in the time of the first.
func TestRel_R12(t *testing.T) {
	three := []*net.SRV{rec("one.example.", 5222, 1, 0), rec("two.example.", 5222, 2, 0), rec("three.example.", 5222, 3, 0)}
	hosts := map[string][]netip.Addr{
		"one.example":   addrs("192.0.2.1", "2001:db8::1"),
		"two.example":   addrs("192.0.2.2", "2001:db8::2"),
		"three.example": addrs("192.0.2.3"),
		"example.org":   addrs("192.0.2.9"),
	}
	type delays = map[string]time.Duration
	tests := []struct {
		name  string
		r     fakeResolver
		net   fakeNet
		ctx   time.Duration // 0: no limit
		want  string        // address; empty: an error
		limit time.Duration
	}{
		{name: "first of 3 black-holed", r: fakeResolver{srv: map[string][]*net.SRV{"xmpp-client": three}},
			net: fakeNet{blackhole: []string{"192.0.2.1:5222", "[2001:db8::1]:5222"}}, want: "[2001:db8::2]:5222", limit: 5 * time.Second},
		{name: "first of 3 black-holed, dialer ignores ctx", r: fakeResolver{srv: map[string][]*net.SRV{"xmpp-client": three}},
			net: fakeNet{blackhole: []string{"192.0.2.1:5222", "[2001:db8::1]:5222"}, deaf: true}, want: "[2001:db8::2]:5222", limit: 5 * time.Second},
		{name: "first of 3 black-holed, other service times out",
			r:   fakeResolver{srv: map[string][]*net.SRV{"xmpp-client": three}, srvDelay: delays{"xmpps-client": time.Minute}},
			net: fakeNet{blackhole: []string{"192.0.2.1:5222", "[2001:db8::1]:5222"}}, want: "[2001:db8::2]:5222", limit: 5 * time.Second},
		{name: "first of 3 refuses", r: fakeResolver{srv: map[string][]*net.SRV{"xmpp-client": three}},
			net: fakeNet{refuse: []string{"192.0.2.1:5222", "[2001:db8::1]:5222"}}, want: "[2001:db8::2]:5222"},
		{name: "first of 3 has no address", r: fakeResolver{srv: map[string][]*net.SRV{"xmpp-client": {rec("gone.example.", 5222, 0, 0), three[1], three[2]}}},
			want: "[2001:db8::2]:5222"},
		{name: "AAAA is never answered", r: fakeResolver{srv: map[string][]*net.SRV{"xmpp-client": three}, ipDelay: delays{"ip6": time.Minute}},
			want: "192.0.2.1:5222", limit: resolutionDelay},
		{name: "NXDOMAIN", want: "192.0.2.9:5222"},
		{name: "SERVFAIL", r: fakeResolver{srvErr: map[string]error{"xmpp-client": errSERVFAIL, "xmpps-client": errSERVFAIL}}},
		{name: "resolver is silent, ctx of 3 s", r: fakeResolver{srvDelay: delays{"xmpp-client": time.Hour, "xmpps-client": time.Hour}, deaf: true}, ctx: 3 * time.Second, limit: 3 * time.Second},
		{name: "all black-holed, ctx of 6 s", r: fakeResolver{srv: map[string][]*net.SRV{"xmpp-client": three}},
			net: fakeNet{blackhole: []string{"192.0.2.1:5222", "[2001:db8::1]:5222", "192.0.2.2:5222", "[2001:db8::2]:5222", "192.0.2.3:5222"}, deaf: true},
			ctx: 6 * time.Second, limit: 6 * time.Second},
		{name: "all black-holed, no ctx limit", r: fakeResolver{srv: map[string][]*net.SRV{"xmpp-client": three}},
			net:   fakeNet{blackhole: []string{"192.0.2.1:5222", "[2001:db8::1]:5222", "192.0.2.2:5222", "[2001:db8::2]:5222", "192.0.2.3:5222"}},
			limit: 2*nextTimeout + defaultTimeout},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer settle()
				tt.r.addrs = hosts
				ctx := t.Context()
				if tt.ctx > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.ctx)
					defer cancel()
				}
				start := time.Now()
				conn, err := connect(ctx, &tt.r, tt.net.dial)
				if took := time.Since(start); took > tt.limit {
					t.Errorf("took %v, want at most %v", took, tt.limit)
				}
				got := ""
				if conn != nil {
					got = conn.(*fakeConn).addr
				}
				if got != tt.want || (err == nil) != (tt.want != "") {
					t.Errorf("connected to %q, %v, want %q", got, err, tt.want)
				}
				if tt.ctx > 0 && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want context.DeadlineExceeded", err)
				}
			})
		})
	}
}

// connect is what a client does with this package, without TLS.
func connect(ctx context.Context, r Resolver, dial DialFunc) (net.Conn, error) {
	targets, err := Resolve(ctx, r, "example.org", Options{})
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, target := range targets {
		conn, err := Dial(ctx, r, dial, target, true)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Resolver is the part of a DNS resolver that this package uses; [*net.Resolver] is one.
//
// LookupSRV is given a rooted name ("example.org."), so that the search list of the machine
// is not applied: a missing record must not become a record of another domain.
// A missing name or record is a [*net.DNSError] with IsNotFound set; every other error means "not known".
// Records returned beside an error are used.
//
// LookupNetIP is asked for "ip4" and "ip6" apart; an answer that holds both families is filtered.
//
// Both may be called from several goroutines at once, and may ignore ctx: nobody waits for them then.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ErrNoService is returned by [Resolve] when DNS has answered and left nothing to try:
// the service is declared not available (target "."),
// or SRV records exist of which none can be used.
var ErrNoService = errors.New("transport: the domain offers no XMPP client service")

const (
	maxTargets  = 10 // of a domain; an answer of 1,000 records must not mean 1,000 connections
	defaultPort = 5222

	defaultLookupTimeout = 10 * time.Second
	// lookupGrace is how long the second service may take once the first has given a target.
	// A resolver that drops one of two questions would otherwise cost every login its time-out.
	lookupGrace = time.Second

	// nextTimeout bounds a target that has others behind it: two lost SYNs (1 s, 3 s) are survived.
	nextTimeout = 4 * time.Second
)

// Target is one place where the server of a domain may be reached.
// It says where to knock, never who must answer: see [VerifyPeer].
type Target struct {
	// Host is a name without a trailing dot, or an IP address without brackets.
	Host string
	Port uint16
	// DirectTLS: TLS starts with the first byte (XEP-0368). Otherwise the stream is upgraded by STARTTLS.
	DirectTLS bool
	// Priority and Weight are those of the SRV record, 0 without one.
	Priority, Weight uint16
	// SRV: the target comes from an SRV record.
	SRV bool
	// Timeout bounds [Dial] for this target, lookups included. If zero, 15 s.
	// Resolve gives every target but the last 4 s, so that a dead one does not eat the time of the next.
	Timeout time.Duration
}

// Addr returns host:port, the host in brackets where it is an IPv6 address.
func (t Target) Addr() string { return net.JoinHostPort(t.Host, fmt.Sprint(t.Port)) }

// Options tune [Resolve].
type Options struct {
	// PreferDirectTLS tries the direct TLS targets before all others, each kind in its own order,
	// and 5223 with direct TLS before 5222 for a domain without SRV records.
	// If false, the two kinds are one list (XEP-0368 §3).
	PreferDirectTLS bool
	// NoDirectTLS leaves direct TLS targets out. They still count as SRV records:
	// a domain that has only those offers nothing then. If false, they are used.
	NoDirectTLS bool
	// LookupTimeout bounds both SRV lookups together. If zero, 10 s.
	LookupTimeout time.Duration
	// Rand draws from [0, n) for the order of equal priorities, see [Order]. If nil, math/rand/v2.
	Rand func(n int) int
}

// Resolve lists at most ten targets for a domain, in the order in which they are to be tried.
// It looks up no addresses and connects to nothing.
// domainA is the domain of the JID in its ASCII form (A-labels), or an IP address. If r is nil, [net.DefaultResolver].
//
// Both SRV services are asked for at once (RFC 6120 §3.2.1, XEP-0368 §3). Then:
//
//   - One usable record of either is enough; what became of the other lookup does not matter.
//     It is given one more second when the first has come in.
//   - Otherwise a lookup that failed, by SERVFAIL or by time, is the result: an error that wraps the resolver's.
//     Not knowing is not the same as knowing that there is no record, and only the latter allows the next step.
//     (RFC 6120 §3.2.1 would allow a fallback here; whoever can drop our questions would then choose our server's port.)
//     The names of RFC 6761 §6.3, localhost and below, are the exception: DNS is not expected to know them.
//   - Records of which none can be used (target ".", port 0, no host) give [ErrNoService], not the fallback.
//   - No record of either service: the domain itself on port 5222 (RFC 6120 §3.2.2).
//
// An IP address has no SRV records: it is returned with port 5222 and no lookup (RFC 6120 §3.2.3).
// When ctx ends, its error is returned at once, even if the resolver goes on.
func Resolve(ctx context.Context, r Resolver, domainA string, opt Options) ([]Target, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	domain := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(domainA, "["), "]"), ".")
	if domain == "" {
		return nil, errors.New("transport: no domain to resolve")
	}
	if _, err := netip.ParseAddr(domain); err == nil {
		return fallback(domain, opt), nil
	}
	if r == nil {
		r = net.DefaultResolver
	}
	answers, err := lookupServices(ctx, r, domain, opt)
	if err != nil {
		return nil, err
	}

	var found []Target
	var failed []error
	exists := false
	for _, a := range answers {
		found = append(found, a.targets...)
		exists = exists || a.exists
		if a.err != nil {
			failed = append(failed, a.err)
		}
	}
	if opt.NoDirectTLS {
		found = slices.DeleteFunc(found, func(t Target) bool { return t.DirectTLS })
	}
	switch {
	case len(found) > 0:
		return finish(Order(found, opt.Rand), opt), nil
	case len(failed) > 0 && !isLocalhost(domain):
		return nil, fmt.Errorf("transport: the SRV records of %q are not known: %w", domain, errors.Join(failed...))
	case exists:
		return nil, fmt.Errorf("%w: %q", ErrNoService, domain)
	}
	return fallback(domain, opt), nil
}

// fallback is what is tried where there is no SRV record.
func fallback(host string, opt Options) []Target {
	targets := []Target{{Host: host, Port: defaultPort}}
	if opt.PreferDirectTLS && !opt.NoDirectTLS {
		targets = append(targets, Target{Host: host, Port: 5223, DirectTLS: true})
	}
	return finish(targets, opt)
}

// finish drops repetitions, applies the preference and the limit, and sets the time-outs.
func finish(ordered []Target, opt Options) []Target {
	if opt.PreferDirectTLS {
		slices.SortStableFunc(ordered, func(a, b Target) int {
			switch {
			case a.DirectTLS == b.DirectTLS:
				return 0
			case a.DirectTLS:
				return -1
			}
			return 1
		})
	}
	var out []Target
	for _, t := range ordered {
		if len(out) == maxTargets {
			break
		}
		if slices.ContainsFunc(out, func(o Target) bool {
			return o.Port == t.Port && o.DirectTLS == t.DirectTLS && strings.EqualFold(o.Host, t.Host)
		}) {
			continue
		}
		t.Timeout = nextTimeout
		out = append(out, t)
	}
	out[len(out)-1].Timeout = 0
	return out
}

// isLocalhost reports whether RFC 6761 §6.3 keeps the name out of DNS.
func isLocalhost(domain string) bool {
	domain = strings.ToLower(domain)
	return domain == "localhost" || strings.HasSuffix(domain, ".localhost")
}

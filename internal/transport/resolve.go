package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Resolver is the part of a DNS resolver that this package uses; [*net.Resolver] is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ErrNoService is returned by [Resolve] when DNS says that the domain offers no client service.
var ErrNoService = errors.New("transport: the domain offers no XMPP client service")

// Target is one place where the server of a domain may be reached.
type Target struct {
	Host      string
	Port      uint16
	DirectTLS bool
	Priority  uint16
	Weight    uint16
	SRV       bool
	Timeout   time.Duration
}

// Options tune [Resolve]. The zero value is what a client wants.
type Options struct {
	PreferDirectTLS bool
	NoDirectTLS     bool
	LookupTimeout   time.Duration
	Rand            func(n int) int
}

// Resolve lists the targets of a domain in the order in which they are to be tried.
func Resolve(ctx context.Context, r Resolver, domainA string, opt Options) ([]Target, error) {
	return nil, ErrNoService
}

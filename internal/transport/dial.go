package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

const (
	attemptDelay    = 250 * time.Millisecond // RFC 8305 §5, Connection Attempt Delay
	resolutionDelay = 50 * time.Millisecond  // RFC 8305 §3, Resolution Delay
	defaultTimeout  = 15 * time.Second       // of a target that says nothing else
	maxPerFamily    = 8                      // addresses of one family that are tried
)

// DialFunc opens a connection, as [net.Dialer.DialContext] does; addr is an IP address and a port.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// ErrTimeout is in the error of [Dial] when the target's own time was over, not that of the ctx.
// It is a [net.Error] whose Timeout is true.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string   { return "no answer in time" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

var errNoConn = errors.New("the dialer returned neither a connection nor an error")

// DialError is one failed attempt of [Dial]: a connection to one address, or the lookup of the addresses.
type DialError struct {
	Addr string // IP address and port, or name and port for a lookup
	Err  error
}

func (e *DialError) Error() string { return "dial " + e.Addr + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Dial connects to one target by happy eyeballs (RFC 8305): both families are looked up at once,
// the attempts alternate between them, a new one starts every 250 ms or as soon as one has failed,
// the first that succeeds is returned and all others are cancelled and, should they still succeed, closed.
// It does no TLS. preferIPv6 names the family that goes first.
// If r is nil, [net.DefaultResolver]; if dial is nil, a zero [net.Dialer].
//
// Dial returns when ctx ends or [Target.Timeout] is over, even if the resolver or the dialer ignore their ctx.
// What it leaves behind then are the goroutines of exactly those calls; a connection that comes late is closed.
// The ctx of the dialer ends when Dial returns, so a connection must not depend on it, as a net.Conn does not.
//
// The error joins one [*DialError] per failure, in the order in which they became known.
func Dial(ctx context.Context, r Resolver, dial DialFunc, t Target, preferIPv6 bool) (net.Conn, error) {
	if r == nil {
		r = net.DefaultResolver
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	limit := t.Timeout
	if limit <= 0 {
		limit = defaultTimeout
	}
	dctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	rc := &race{
		ctx: dctx, dial: dial, target: t, ready: true,
		done: make(chan struct{}), looked: make(chan lookedUp), dialed: make(chan attempt),
	}
	defer close(rc.done)
	if addr, err := netip.ParseAddr(t.Host); err == nil {
		rc.queue[0] = []netip.Addr{addr}
	} else {
		rc.lookUp(r, preferIPv6)
	}
	conn := rc.run()
	if conn != nil {
		return conn, nil
	}
	if dctx.Err() != nil {
		rc.giveUp(ctx.Err())
	}
	return nil, errors.Join(rc.errs...)
}

// race is one call of Dial. Its fields belong to the goroutine of that call;
// the lookups and attempts run on goroutines of their own and hand over through looked and dialed.
// Those channels are unbuffered, so a connection either reaches run or stays with its goroutine, which closes it.
type race struct {
	ctx    context.Context
	dial   DialFunc
	target Target
	done   chan struct{} // closed when Dial returns
	looked chan lookedUp
	dialed chan attempt

	queue   [2][]netip.Addr // addresses to try, the preferred family first
	looking [2]bool         // lookups under way
	turn    int             // the family whose turn it is
	waited  bool            // the resolution delay is over
	ready   bool            // the next attempt may start
	pending []string        // attempts under way
	errs    []error
}

type lookedUp struct {
	family int
	addrs  []netip.Addr
	err    error
}

type attempt struct {
	addr string
	conn net.Conn
	err  error
}

// lookUp starts the lookups of both families (RFC 8305 §3): apart, so that
// a name server that never answers for one of them does not hold up the other.
func (rc *race) lookUp(r Resolver, preferIPv6 bool) {
	networks := [2]string{"ip4", "ip6"}
	if preferIPv6 {
		networks = [2]string{"ip6", "ip4"}
	}
	for family, network := range networks {
		rc.looking[family] = true
		go func() {
			found, err := r.LookupNetIP(rc.ctx, network, rc.target.Host)
			l := lookedUp{family: family, err: err}
			for _, a := range found {
				a = a.Unmap()
				if a.IsValid() && a.Is4() == (network == "ip4") && !slices.Contains(l.addrs, a) && len(l.addrs) < maxPerFamily {
					l.addrs = append(l.addrs, a)
				}
			}
			select {
			case rc.looked <- l:
			case <-rc.done:
			}
		}()
	}
}

// run is the race: nil when nothing is left to try or the time is over.
func (rc *race) run() net.Conn {
	stagger := newStoppedTimer()
	defer stagger.Stop()
	resolution := newStoppedTimer()
	defer resolution.Stop()
	for rc.ctx.Err() == nil {
		if rc.ready && rc.startNext() {
			rc.ready = false
			stagger.Reset(attemptDelay)
		}
		if rc.exhausted() {
			return nil
		}
		select {
		case l := <-rc.looked:
			rc.looking[l.family] = false
			rc.queue[l.family] = l.addrs
			if l.err != nil && len(l.addrs) == 0 {
				rc.fail(rc.target.Addr(), l.err)
			}
			if rc.looking[0] && len(l.addrs) > 0 {
				resolution.Reset(resolutionDelay)
			}
		case <-resolution.C:
			rc.waited = true
		case a := <-rc.dialed:
			if a.err == nil {
				return a.conn
			}
			rc.pending = slices.DeleteFunc(rc.pending, func(s string) bool { return s == a.addr })
			rc.fail(a.addr, a.err)
			rc.ready = true
		case <-stagger.C:
			rc.ready = true
		case <-rc.ctx.Done():
		}
	}
	return nil
}

// startNext starts the next attempt, if there is an address that may be tried now.
// The second family waits a moment for an answer about the preferred one.
func (rc *race) startNext() bool {
	if rc.looking[0] && !rc.waited {
		return false
	}
	family := rc.turn
	if len(rc.queue[family]) == 0 {
		family = 1 - family
	}
	if len(rc.queue[family]) == 0 {
		return false
	}
	ip := rc.queue[family][0]
	rc.queue[family] = rc.queue[family][1:]
	rc.turn = 1 - family

	addr := net.JoinHostPort(ip.String(), strconv.Itoa(int(rc.target.Port)))
	rc.pending = append(rc.pending, addr)
	go func() {
		a := attempt{addr: addr}
		a.conn, a.err = rc.dial(rc.ctx, "tcp", addr)
		if a.err == nil && a.conn == nil {
			a.err = errNoConn
		}
		select {
		case rc.dialed <- a:
		case <-rc.done:
			if a.conn != nil {
				a.conn.Close()
			}
		}
	}()
	return true
}

// exhausted reports that nothing is under way and nothing is left.
// A host without any address has an error of its own, should the resolver have given none.
func (rc *race) exhausted() bool {
	if len(rc.pending) > 0 || rc.looking[0] || rc.looking[1] || len(rc.queue[0]) > 0 || len(rc.queue[1]) > 0 {
		return false
	}
	if len(rc.errs) == 0 {
		rc.fail(rc.target.Addr(), &net.DNSError{Err: "no address", Name: rc.target.Host, IsNotFound: true})
	}
	return true
}

// giveUp says of everything still under way why it was ended: by the caller's ctx, or by the target's own limit.
func (rc *race) giveUp(cause error) {
	if cause == nil {
		cause = ErrTimeout
	}
	for _, addr := range rc.pending {
		rc.fail(addr, cause)
	}
	// A dialer may have reported the end of its ctx in words of its own.
	if !errors.Is(errors.Join(rc.errs...), cause) {
		rc.fail(rc.target.Addr(), cause)
	}
}

func (rc *race) fail(addr string, err error) {
	rc.errs = append(rc.errs, &DialError{Addr: addr, Err: err})
}

func newStoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

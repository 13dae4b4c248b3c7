package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// zone is a resolver with one answer for _xmpp-client and none for _xmpps-client.
type zone struct {
	srv  []*net.SRV
	err  error
	wait time.Duration
}

func (z zone) LookupSRV(ctx context.Context, service, _, name string) (string, []*net.SRV, error) {
	if z.wait > 0 {
		select {
		case <-time.After(z.wait):
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
	}
	if z.err != nil {
		return "", nil, z.err
	}
	if service != "xmpp-client" || len(z.srv) == 0 {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return "", z.srv, nil
}

func (zone) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("the dialer does that")
}

func targets(hosts ...string) (srv []*net.SRV) {
	for i, h := range hosts {
		srv = append(srv, &net.SRV{Target: h + ".", Port: 5222, Priority: uint16(i)})
	}
	return srv
}

// TestRel_R12 connects through DNS that is wrong in various ways, and to servers of which the first are dead.
func TestRel_R12(t *testing.T) {
	notFound := &net.DNSError{Err: "no such host", IsNotFound: true}
	servfail := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	tests := []struct {
		name   string
		zone   zone
		limit  time.Duration // of ctx; 0: none
		dialed string
		ok     bool
		within time.Duration
		is     error
	}{
		{name: "first of three refuses", zone: zone{srv: targets("refuses", "live", "other")}, dialed: "refuses:5222 live:5222", ok: true, within: time.Second},
		{name: "two of three refuse", zone: zone{srv: targets("refuses", "refuses2", "live")}, dialed: "refuses:5222 refuses2:5222 live:5222", ok: true, within: time.Second},
		{name: "first of three is a black hole", zone: zone{srv: targets("hole", "live", "other")}, dialed: "hole:5222 live:5222", ok: true, within: 5 * time.Second},
		{name: "first of three takes the connection and is silent", zone: zone{srv: targets("silent", "live", "other")}, dialed: "silent:5222 live:5222", ok: true, within: 11 * time.Second},
		{name: "all are black holes", zone: zone{srv: targets("hole", "hole2", "hole3")}, dialed: "hole:5222 hole2:5222 hole3:5222", within: 30 * time.Second, is: xmpp.ErrNegotiationTimeout},
		{name: "all are black holes, ctx of 2 s", zone: zone{srv: targets("hole", "hole2")}, limit: 2 * time.Second, dialed: "*", within: 2 * time.Second, is: context.DeadlineExceeded},
		{name: "NXDOMAIN: the domain itself", zone: zone{err: notFound}, dialed: "example.test:5222", ok: true, within: time.Second},
		{name: "SERVFAIL", zone: zone{err: servfail}, within: time.Second, is: servfail},
		{name: "no answer", zone: zone{wait: time.Hour}, within: 12 * time.Second},
		{name: "no answer, ctx of 1 s", zone: zone{wait: time.Hour}, limit: time.Second, within: time.Second, is: context.DeadlineExceeded},
		{name: "slow answer", zone: zone{srv: targets("live"), wait: 3 * time.Second}, dialed: "live:5222", ok: true, within: 4 * time.Second},
		{name: "service is not offered", zone: zone{srv: []*net.SRV{{Target: "."}}}, within: time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, testserver.Options{})
				var mu sync.Mutex
				var dialed []string
				cfg := configFor(srv, "alice")
				cfg.Host, cfg.Resolver = "", tt.zone
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					mu.Lock()
					dialed = append(dialed, addr)
					mu.Unlock()
					switch host, _, _ := net.SplitHostPort(addr); {
					case strings.HasPrefix(host, "refuses"):
						return nil, fmt.Errorf("%s: connection refused", host)
					case strings.HasPrefix(host, "hole"):
						<-ctx.Done()
						return nil, ctx.Err()
					case host == "silent":
						c, other := testserver.Pipe(0, "client", "silent")
						t.Cleanup(func() { _ = other.Close() })
						return c, nil
					}
					return srv.Dial(ctx, network, addr)
				}
				rec := newRecorder()
				s := newStream(t, cfg, xmpp.DelegateOf(rec))
				ctx := context.Background()
				if tt.limit > 0 {
					ctx = within(t, tt.limit)
				}
				start := time.Now()
				err := s.Connect(ctx)
				if took := time.Since(start); took > tt.within {
					t.Errorf("Connect took %v, it may take %v", took, tt.within)
				} else {
					t.Logf("%v: %v", took, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if got := strings.Join(dialed, " "); got != tt.dialed && tt.dialed != "*" {
					t.Errorf("dialed %s, want %s", got, tt.dialed)
				}
				var ce *xmpp.ConnectError
				switch {
				case tt.ok:
					if err != nil {
						t.Error(err)
					}
				case !errors.As(err, &ce) || tt.is != nil && !errors.Is(err, tt.is):
					t.Errorf("Connect returned %v", err)
				case tt.dialed != "*" && len(ce.Attempts) != max(1, len(dialed)):
					t.Errorf("%d attempts are reported", len(ce.Attempts))
				}
				if err := closeNow(s); err != nil {
					t.Error(err)
				}
				if e := rec.take(); e[len(e)-1] != "DidDisconnect" {
					t.Errorf("events: %v", e)
				}
			})
		})
	}
}

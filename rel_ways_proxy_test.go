package xmpp_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// proxyServer is a SOCKS5 and HTTP proxy in the process.
type proxyServer struct {
	t     testing.TB
	socks bool
	to    func(ctx context.Context, network, addr string) (net.Conn, error)
	fault string // what it does in place of its work

	mu     sync.Mutex
	asked  []string // names and ports
	logins []string
	open   []net.Conn
	wg     sync.WaitGroup
}

// Dial reaches the proxy.
func (p *proxyServer) Dial(_ context.Context, _, addr string) (net.Conn, error) {
	if addr != "proxy.test:1080" {
		p.t.Errorf("%s was dialled in place of the proxy", addr)
		return nil, io.EOF
	}
	if p.fault == "refused" {
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}
	client, server := testserver.Pipe(0, "client", "proxy")
	p.mu.Lock()
	p.open = append(p.open, server)
	p.mu.Unlock()
	p.wg.Go(func() {
		defer server.Close()
		serve := p.connect
		if p.socks {
			serve = p.socks5
		}
		far, reply := serve(server)
		if far == nil {
			return
		}
		defer far.Close()
		if p.fault == "early" { // what the server says first comes along with the proxy's reply
			first := make([]byte, 1)
			if _, err := io.ReadFull(far, first); err != nil {
				return
			}
			reply += string(first)
		}
		if _, err := io.WriteString(server, reply); err != nil {
			return
		}
		p.wg.Go(func() {
			_, _ = io.Copy(far, server)
			far.Close()
		})
		_, _ = io.Copy(server, far)
	})
	return client, nil
}

// kill ends all connections.
func (p *proxyServer) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}

func (p *proxyServer) note(login, addr string) (net.Conn, bool) {
	p.mu.Lock()
	p.asked, p.logins = append(p.asked, addr), append(p.logins, login)
	p.mu.Unlock()
	if p.fault == "dies" || p.fault == "denied" {
		return nil, p.fault == "denied"
	}
	far, err := p.to(context.Background(), "tcp", addr)
	return far, err == nil
}

func (p *proxyServer) socks5(c net.Conn) (net.Conn, string) {
	b := make([]byte, 512)
	read := func(n int) []byte {
		if _, err := io.ReadFull(c, b[:n]); err != nil {
			return make([]byte, n)
		}
		return b[:n]
	}
	methods := string(read(int(read(2)[1])))
	if p.fault == "silent" {
		_, _ = io.Copy(io.Discard, c)
		return nil, ""
	}
	login := ""
	if strings.Contains(methods, "\x02") {
		_, _ = c.Write([]byte{5, 2})
		login = string(read(int(read(2)[1])))
		login += ":" + string(read(int(read(1)[0])))
		_, _ = c.Write([]byte{1, 0})
	} else {
		_, _ = c.Write([]byte{5, 0})
	}
	if read(4)[3] != 3 {
		p.t.Error("the proxy was asked for an address, and not for a name")
	}
	host := string(read(int(read(1)[0])))
	far, ok := p.note(login, fmt.Sprintf("%s:%d", host, binary.BigEndian.Uint16(read(2))))
	if far == nil {
		if ok {
			_, _ = c.Write([]byte{5, 2, 0, 1, 0, 0, 0, 0, 0, 0})
		}
		return nil, ""
	}
	return far, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
}

func (p *proxyServer) connect(c net.Conn) (net.Conn, string) {
	req, err := http.ReadRequest(bufio.NewReaderSize(c, 16))
	if err != nil || req.Method != http.MethodConnect {
		return nil, ""
	}
	if p.fault == "silent" {
		_, _ = io.Copy(io.Discard, c)
		return nil, ""
	}
	login, _ := strings.CutPrefix(req.Header.Get("Proxy-Authorization"), "Basic ")
	plain, _ := base64.StdEncoding.DecodeString(login)
	far, ok := p.note(string(plain), req.RequestURI)
	if far == nil {
		if ok {
			_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
		}
		return nil, ""
	}
	return far, "HTTP/1.1 200 OK\r\n\r\n"
}

// noNames fails the test if a name is looked up here.
type noNames struct{ t testing.TB }

func (r noNames) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	r.t.Errorf("SRV of %s", name)
	return "", nil, io.EOF
}

func (r noNames) LookupNetIP(_ context.Context, _, host string) ([]netipAddr, error) {
	r.t.Errorf("%s was looked up here", host)
	return nil, io.EOF
}

// throughProxies runs f for every way in, through both kinds of proxies.
func throughProxies(t *testing.T, f func(t *testing.T, x *wayTest, p *proxyServer)) {
	t.Helper()
	for _, kind := range []string{"socks5", "http"} {
		eachWay(t, func(t *testing.T, x *wayTest) {
			p := &proxyServer{t: t, socks: kind == "socks5", to: x.cfg.Dial}
			x.cfg.Dial, x.cfg.Resolver = p.Dial, noNames{t}
			x.cfg.Proxy = &url.URL{Scheme: kind, Host: "proxy.test:1080", User: url.UserPassword("me", "proxy secret")}
			x.alice = newStream(t, x.cfg, xmpp.DelegateOf(x.rec), x.inAlice.delegate())
			f(t, x, p)
			_ = x.alice.Close(xmpp.NoWait)
			x.srv.Close()
			p.kill()
			p.wg.Wait()
		}, notComponent)
	}
}

// TestRel_R32_Ways: every transport goes through a proxy, which looks up the names; nothing goes past it.
func TestRel_R32_Ways(t *testing.T) {
	checkGoroutines(t)
	throughProxies(t, func(t *testing.T, x *wayTest, p *proxyServer) {
		x.login()
		x.works(50)
		want := map[string]string{"STARTTLS": "example.test:5222", "zlib": "example.test:5222", "direct TLS": "example.test:5222"}[x.name]
		if want == "" {
			want = "example.test:443"
		}
		p.mu.Lock()
		asked, logins := slices.Compact(slices.Clone(p.asked)), slices.Compact(slices.Clone(p.logins))
		p.mu.Unlock()
		if !slices.Equal(asked, []string{want}) || !slices.Equal(logins, []string{"me:proxy secret"}) {
			t.Errorf("the proxy was asked for %q by %q", asked, logins)
		}
		if x.alice.Security().TLS != true {
			t.Errorf("%+v", x.alice.Security())
		}
		p.kill()
		if x.bosh { // its session lives on, over other connections
			x.works(20)
			return
		}
		if err := x.ended(); err == nil {
			t.Error("the proxy died, and DidDisconnect got no cause")
		}
		x.login()
		x.works(5)
	})
}

// TestRel_R32_Fails: what is wrong with a proxy is a failure to dial, within the time, and tells no secret.
func TestRel_R32_Fails(t *testing.T) {
	checkGoroutines(t)
	for _, fault := range []string{"refused", "dies", "denied", "silent"} {
		throughProxies(t, func(t *testing.T, x *wayTest, p *proxyServer) {
			p.fault = fault
			cfg := x.cfg
			cfg.ConnectTimeout = 20 * time.Second
			s := newStream(t, cfg)
			start := time.Now()
			err := s.Login(x.ctx())
			var ce *xmpp.ConnectError
			if !errors.As(err, &ce) {
				t.Fatalf("%s: Login returned %v", fault, err)
			}
			if step := ce.Attempts[0].Step; (step == "dial") == x.web {
				t.Errorf("%s: it failed at %s: %v", fault, step, err)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "me:") {
				t.Errorf("%s: %v", fault, err)
			}
			if took := time.Since(start); took > 20*time.Second || took > 0 && fault != "silent" && !x.bosh {
				t.Errorf("%s: it took %v", fault, took)
			}
		})
	}
}

// TestRel_R32_Early: bytes of the server that come along with the proxy's reply are not lost. The server speaks first here.
func TestRel_R32_Early(t *testing.T) {
	checkGoroutines(t)
	for _, socks := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			raw := newRawServer(t, func(c *rawConn) {
				c.say(header + features(offerSASL("ANONYMOUS")))
				c.auth()
				c.success("")
				c.bind(boundTo("guest@example.test/r"))
			})
			p := &proxyServer{t: t, socks: socks, to: raw.Dial, fault: "early"}
			cfg := raw.plainConfig()
			cfg.Dial, cfg.Resolver, cfg.Proxy = p.Dial, noNames{t}, &url.URL{Scheme: "http", Host: "proxy.test:1080"}
			if socks {
				cfg.Proxy.Scheme = "socks5"
			}
			s := newStream(t, cfg)
			if err := s.Login(within(t, time.Minute)); err != nil {
				t.Error(err)
			}
			_ = s.Close(xmpp.NoWait)
			p.kill()
			p.wg.Wait()
		})
	}
}

// TestProxyConfig: a component in clear text does not go through a proxy: what it calls this machine is another one.
func TestProxyConfig(t *testing.T) {
	cfg := xmpp.Config{JID: xmpp.MustParseJID("comp.example.test"), Component: true, Host: "localhost", Port: 5347, Credentials: xmpp.Password("x"), Proxy: &url.URL{Scheme: "socks5", Host: "proxy.test:1080"}}
	if _, err := xmpp.New(cfg); !errors.Is(err, xmpp.ErrTLSRequired) {
		t.Errorf("New returned %v", err)
	}
	cfg.DirectTLS = true
	if _, err := xmpp.New(cfg); err != nil {
		t.Errorf("with direct TLS New returned %v", err)
	}
	for _, bad := range []string{"ftp://proxy.test:21", "socks5://proxy.test", "socks4://proxy.test:1080", "proxy.test:1080", "http://:80"} {
		u, err := url.Parse(bad)
		if err != nil {
			continue
		}
		c := xmpp.Config{JID: xmpp.MustParseJID("a@b.test"), Proxy: u}
		if _, err := xmpp.New(c); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("%s: New returned %v", bad, err)
		}
	}
}

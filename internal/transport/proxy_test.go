package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
)

const (
	proxyUser     = "ben"
	proxyPassword = "s3cret/word"
	peerAddr      = "chat.example.test:5222"
	proxyAddr     = "proxy.test:1080"
)

// proxyURL has the credentials that no error may show.
func proxyURL(scheme string) *url.URL {
	return &url.URL{Scheme: scheme, Host: proxyAddr, User: url.UserPassword(proxyUser, proxyPassword)}
}

// pipeDial is a dialer to a proxy that plays what serve does, and closes then.
// closed is closed when the client's end is.
func pipeDial(t testing.TB, serve func(nc net.Conn)) (dial DialFunc, closed chan struct{}) {
	closed = make(chan struct{})
	return func(_ context.Context, _, addr string) (net.Conn, error) {
		if addr != proxyAddr {
			t.Errorf("dialled %s, want %s", addr, proxyAddr)
		}
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			serve(server)
		}()
		return &closeNoted{Conn: client, closed: closed}, nil
	}, closed
}

type closeNoted struct {
	net.Conn
	closed chan struct{}
}

func (c *closeNoted) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return c.Conn.Close()
}

// proxyClosed reports whether the bubble has come to the end of the connection.
func proxyClosed(closed chan struct{}) bool {
	synctest.Wait()
	select {
	case <-closed:
		return true
	default:
		return false
	}
}

// proxyLeaks reports whether an error shows what is secret.
func proxyLeaks(err error) bool {
	text := err.Error()
	for _, secret := range []string{proxyPassword, url.QueryEscape(proxyPassword), proxyUser + ":", base64.StdEncoding.EncodeToString([]byte(proxyUser + ":" + proxyPassword))} {
		if strings.Contains(text, secret) {
			return true
		}
	}
	return false
}

func readProxied(nc io.Reader, n int) []byte {
	b := make([]byte, n)
	m, _ := io.ReadFull(nc, b)
	return b[:m]
}

// socksStep is what the client sends, in octets, and what is answered.
type socksStep struct{ want, answer string }

// socksLogin is the talk until the connection is there.
func socksLogin() []socksStep {
	return []socksStep{
		{"\x05\x02\x00\x02", "\x05\x02"},
		{"\x01\x03" + proxyUser + "\x0b" + proxyPassword, "\x01\x00"},
		{"\x05\x01\x00\x03\x11chat.example.test\x14\x66", "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"},
	}
}

func playSOCKS(t testing.TB, steps []socksStep) func(net.Conn) {
	return func(nc net.Conn) {
		for _, s := range steps {
			if got := readProxied(nc, len(s.want)); string(got) != s.want {
				t.Errorf("the SOCKS proxy got %q, want %q", got, s.want)
				return
			}
			_, _ = io.WriteString(nc, s.answer)
		}
	}
}

// readConnect reads a request until its empty line.
func readConnect(nc net.Conn) string {
	var b []byte
	for !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		one := readProxied(nc, 1)
		if len(one) == 0 {
			break
		}
		b = append(b, one...)
	}
	return string(b)
}

// echoProxied gives back what comes.
func echoProxied(nc net.Conn) { _, _ = io.Copy(nc, nc) }

// wantProxied sees both directions of a connection, after what is there already.
func wantProxied(t testing.TB, nc net.Conn, early string) {
	t.Helper()
	go func() { _, _ = io.WriteString(nc, "<hello/>") }()
	if got := string(readProxied(nc, len(early+"<hello/>"))); got != early+"<hello/>" {
		t.Errorf("read %q, want %q", got, early+"<hello/>")
	}
}

// TestProxyDial: the connection is there, the name is the proxy's to look up, and the bytes behind the reply are not lost.
func TestProxyDial(t *testing.T) {
	testkit.Goroutines(t)
	anonymous := func(scheme string) *url.URL { u := proxyURL(scheme); u.User = nil; return u }
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))
	request := func(addr, more string) string {
		return "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n" + more + "\r\n"
	}
	connect := func(want, answer string) func(net.Conn) {
		return func(nc net.Conn) {
			if got := readConnect(nc); got != want {
				t.Errorf("the HTTP proxy got %q, want %q", got, want)
			}
			_, _ = io.WriteString(nc, answer)
		}
	}
	anySOCKS := []socksStep{{"\x05\x01\x00", "\x05\x00"}, socksLogin()[2]}
	for _, tt := range []struct {
		name  string
		url   *url.URL
		addr  string
		serve func(net.Conn)
		early string
	}{
		{"socks5", anonymous("socks5"), peerAddr, playSOCKS(t, anySOCKS), ""},
		{"socks5h, user", proxyURL("socks5h"), peerAddr, playSOCKS(t, socksLogin()), ""},
		{"socks5, user not asked for", proxyURL("socks5"), peerAddr, playSOCKS(t, []socksStep{{"\x05\x02\x00\x02", "\x05\x00"}, socksLogin()[2]}), ""},
		{"socks5, address", anonymous("socks5"), "[2001:db8::1]:5222", playSOCKS(t, []socksStep{
			{"\x05\x01\x00", "\x05\x00"},
			{"\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x14\x66", "\x05\x00\x00\x03\x04name\x00\x50"},
		}), ""},
		{"socks5, the peer is early", anonymous("socks5"), peerAddr, playSOCKS(t, []socksStep{anySOCKS[0], {anySOCKS[1].want, anySOCKS[1].answer + "<early/>"}}), "<early/>"},
		{"http", anonymous("http"), peerAddr, connect(request(peerAddr, ""), "HTTP/1.1 200 OK\r\n\r\n"), ""},
		{"http, user", proxyURL("http"), peerAddr, connect(request(peerAddr, "Proxy-Authorization: "+basic+"\r\n"), "HTTP/1.1 200 Connection established\r\n\r\n"), ""},
		{"http, user without a password", &url.URL{Scheme: "http", Host: proxyAddr, User: url.User("x")}, peerAddr,
			connect(request(peerAddr, "Proxy-Authorization: Basic eDo=\r\n"), "HTTP/1.0 200 OK\r\n\r\n"), ""},
		{"http, address", anonymous("http"), "[2001:db8::1]:5222", connect(request("[2001:db8::1]:5222", ""), "HTTP/1.1 204 Fine\r\n\r\n"), ""},
		{"http, other success", anonymous("http"), peerAddr, connect(request(peerAddr, ""), "HTTP/1.1 299 Yes\r\nX-Y: z\r\n\r\n"), ""},
		{"http, the peer is early", anonymous("http"), peerAddr, connect(request(peerAddr, ""), "HTTP/1.1 200 OK\r\n\r\n<early/>"), "<early/>"},
		{"http, a length that means nothing", anonymous("http"), peerAddr, connect(request(peerAddr, ""), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<early/>"), "<early/>"},
		{"http, chunks that are none", anonymous("http"), peerAddr, connect(request(peerAddr, ""), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<early/>"), "<early/>"},
		{"http, first news", anonymous("http"), peerAddr, connect(request(peerAddr, ""), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, closed := pipeDial(t, func(nc net.Conn) { tt.serve(nc); echoProxied(nc) })
				through := proxied(ProxyDial(tt.url, dial))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				nc := proxied(through(ctx, "tcp", tt.addr))
				cancel() // the connection does not depend on it
				time.Sleep(2 * time.Minute)
				if _, raw := nc.(*closeNoted); raw != (tt.early == "" || tt.url.Scheme == "socks5") {
					t.Errorf("the connection is a %T", nc)
				}
				wantProxied(t, nc, tt.early)
				if proxyClosed(closed) {
					t.Error("closed")
				}
				nc.Close()
			})
		})
	}
}

// proxied is the value of a call that must not fail.
func proxied[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestProxyTLS: the proxy is checked by its certificate, for the host in the URL.
func TestProxyTLS(t *testing.T) {
	testkit.Goroutines(t)
	root := newRoot(t)
	conf := &tls.Config{RootCAs: root.pool()}
	for _, tt := range []struct {
		name, host string
		conf       *tls.Config
		want       string
	}{
		{"right", "proxy.test", conf, ""},
		{"another host", "evil.test", conf, "certificate is valid for evil.test, not proxy.test"},
		{"the system's roots", "proxy.test", nil, "certificate signed by unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln := proxied(net.Listen("tcp", "127.0.0.1:0"))
			served := make(chan struct{})
			go func() {
				defer close(served)
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{root.leaf(t, nil, tt.host)}, NextProtos: []string{"h2", "http/1.1"}})
				if readConnect(tc) != "" {
					_, _ = io.WriteString(tc, "HTTP/1.1 200 OK\r\n\r\n<early/>")
					echoProxied(tc)
				}
			}()
			dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != proxyAddr {
					t.Errorf("dialled %s", addr)
				}
				return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			nc, err := proxied(ProxyDialTLS(proxyURL("https"), dial, tt.conf))(ctx, "tcp", peerAddr)
			switch {
			case err == nil && tt.want == "":
				wantProxied(t, nc, "<early/>")
				nc.Close()
			case err == nil:
				t.Error("it passed")
				nc.Close()
			case tt.want == "" || !strings.Contains(err.Error(), tt.want) || proxyLeaks(err):
				t.Errorf("got %v, want %s", err, tt.want)
			}
			ln.Close()
			<-served
		})
	}
	if conf.ServerName != "" || conf.NextProtos != nil {
		t.Error("the configuration was changed")
	}
}

// TestProxyURL: what is no proxy is said at once.
func TestProxyURL(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"socks4://ben:s3cret%2fword@proxy.test:1080", "the scheme must be"},
		{"proxy.test:1080", "the scheme must be"},
		{"//ben:s3cret%2fword@proxy.test:1080", "the scheme must be"},
		{"http://ben:s3cret%2fword@proxy.test", "a host and a port are needed"},
		{"http://ben:s3cret%2fword@proxy.test:0", "a host and a port are needed"},
		{"https://ben:s3cret%2fword@proxy.test:65536", "a host and a port are needed"},
		{"socks5://ben:s3cret%2fword@:1080", "a host and a port are needed"},
		{"socks5://:s3cret%2fword@proxy.test:1080", "RFC 1929"},
		{"socks5://ben:" + strings.Repeat("x", 256) + "@proxy.test:1080", "RFC 1929"},
		{"socks5://" + strings.Repeat("x", 256) + "@proxy.test:1080", "RFC 1929"},
	} {
		dial, err := ProxyDial(proxied(url.Parse(tt.url)), nil)
		if !errors.Is(err, ErrProxy) || !strings.Contains(err.Error(), tt.want) || proxyLeaks(err) || strings.Contains(err.Error(), "xxx") || dial != nil {
			t.Errorf("%s: got %v, want %s", tt.url, err, tt.want)
		}
	}
	if _, err := ProxyDial(nil, nil); !errors.Is(err, ErrProxy) {
		t.Error("nil:", err)
	}
	long := &url.URL{Scheme: "x", Host: strings.Repeat("\n", 1000)}
	if _, err := ProxyDial(long, nil); len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
		t.Error("long:", err)
	}
}

// TestProxyRefused: the status or the reason is there, the connection closed, and no secret shown.
func TestProxyRefused(t *testing.T) {
	testkit.Goroutines(t)
	http1 := func(answer string) func(net.Conn) {
		return func(nc net.Conn) {
			readConnect(nc)
			_, _ = io.WriteString(nc, answer)
			_, _ = io.Copy(io.Discard, nc)
		}
	}
	socks := func(answers ...string) func(net.Conn) {
		return func(nc net.Conn) {
			steps := socksLogin()[:len(answers)]
			for i := range steps {
				steps[i].answer = answers[i]
			}
			playSOCKS(t, steps)(nc)
			_, _ = io.Copy(io.Discard, nc)
		}
	}
	for _, tt := range []struct {
		name   string
		scheme string
		serve  func(net.Conn)
		status int
		want   string
	}{
		{"407", "http", http1("HTTP/1.1 407 Give me s3cret/word\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nhello"), 407, "refused with 407 Proxy Authentication Required"},
		{"403", "http", http1("HTTP/1.1 403 No\r\n\r\n"), 403, "refused with 403 Forbidden"},
		{"502", "http", http1("HTTP/1.0 502 Bad\r\n\r\n"), 502, "refused with 502 Bad Gateway"},
		{"302", "http", http1("HTTP/1.1 302 There\r\nLocation: http://evil.test/\r\n\r\n"), 302, "refused with 302 Found"},
		{"101", "http", http1("HTTP/1.1 101 Switching\r\n\r\n"), 101, "refused with 101 Switching Protocols"},
		{"799", "http", http1("HTTP/1.1 799 Odd\r\n\r\n"), 799, "refused with 799"},
		{"no HTTP", "http", http1("s3cret/word\r\n\r\n"), 0, "the reply is not HTTP"},
		{"a header that is none", "http", http1("HTTP/1.1 200 OK\r\ns3cret/word\r\n\r\n"), 0, "the reply is not HTTP"},
		{"a long line", "http", http1("HTTP/1.1 200 " + strings.Repeat("x", maxConnectReply)), 0, "more than 16 KiB"},
		{"a long header", "http", http1("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxConnectReply/6)), 0, "more than 16 KiB"},
		{"news for ever", "http", http1(strings.Repeat("HTTP/1.1 102 Wait\r\n\r\n", maxConnectReply/20)), 0, "more than 16 KiB"},
		{"no method", "socks5", socks("\x05\xff"), 0, "no acceptable authentication methods"},
		{"another method", "socks5", socks("\x05\x01"), 0, "unsupported authentication method"},
		{"another version", "socks5", socks("\x04\x00"), 0, "unexpected protocol version"},
		{"wrong password", "socks5", socks("\x05\x02", "\x01\x01"), 0, "authentication failed"},
		{"failure", "socks5", socks("\x05\x02", "\x01\x00", "\x05\x01\x00\x01"), 0, "general SOCKS server failure"},
		{"not allowed", "socks5", socks("\x05\x02", "\x01\x00", "\x05\x02\x00\x01"), 0, "connection not allowed by ruleset"},
		{"no host", "socks5", socks("\x05\x02", "\x01\x00", "\x05\x04\x00\x01"), 0, "host unreachable"},
		{"refused", "socks5", socks("\x05\x02", "\x01\x00", "\x05\x05\x00\x01"), 0, "connection refused"},
	} {
		t.Run(tt.scheme+"/"+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, closed := pipeDial(t, tt.serve)
				nc, err := proxied(ProxyDial(proxyURL(tt.scheme), dial))(t.Context(), "tcp", peerAddr)
				var pe *ProxyError
				if nc != nil || !errors.As(err, &pe) || pe.Status != tt.status || pe.Addr != peerAddr || pe.Proxy != tt.scheme+"://"+proxyAddr ||
					!strings.Contains(err.Error(), tt.want) || len(err.Error()) > 300 || proxyLeaks(err) {
					t.Errorf("got %#v: %v, want %s", err, err, tt.want)
				}
				if !proxyClosed(closed) {
					t.Error("the connection is open")
				}
			})
		})
	}
	through := proxied(ProxyDial(proxyURL("http"), func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, io.EOF
	}))
	for _, addr := range []string{"", "chat.example.test", "a:b:c"} {
		if _, err := through(t.Context(), "tcp", addr); !errors.As(err, new(*ProxyError)) {
			t.Errorf("to %q: %v", addr, err)
		}
	}
}

// TestProxyAddress: what is no host is asked of no proxy.
func TestProxyAddress(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		for _, addr := range []string{"a\r\nX: y:1", "a b:1", "a\x00:1", "a/b?c:1", "a@b:1"} {
			dial, closed := pipeDial(t, func(nc net.Conn) {
				t.Errorf("the proxy got %q", readConnect(nc))
			})
			if _, err := proxied(ProxyDial(proxyURL("http"), dial))(t.Context(), "tcp", addr); !errors.Is(err, errTarget) || strings.ContainsAny(err.Error(), "\r\n\x00") || proxyClosed(closed) {
				t.Errorf("%q: %v", addr, err)
			}
		}
	})
}

// TestProxyReal goes through sockets: what a dialer makes is what the stream gets.
func TestProxyReal(t *testing.T) {
	testkit.Goroutines(t)
	ln := proxied(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		playSOCKS(t, socksLogin())(nc)
		echoProxied(nc)
	}()
	u := proxyURL("socks5")
	u.Host = ln.Addr().String()
	nc := proxied(proxied(ProxyDial(u, nil))(t.Context(), "tcp", peerAddr))
	defer nc.Close()
	if _, ok := nc.(*net.TCPConn); !ok {
		t.Errorf("the connection is a %T", nc)
	}
	wantProxied(t, nc, "")
}

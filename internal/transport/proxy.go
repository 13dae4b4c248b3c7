package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/proxy"
)

// ErrProxy is in the error of [ProxyDial] when a URL is none of a proxy that can be used.
var ErrProxy = errors.New("not the URL of a proxy")

// ProxyError is why a proxy has not made a connection. It names neither user nor password.
type ProxyError struct {
	Proxy  string // scheme, host and port
	Addr   string // where the connection was to go
	Status int    // what an HTTP proxy answered, such as 407 or 502; 0 if it did not, or the proxy is a SOCKS one
	Err    error  // the cause, nil if it is in Status
}

func (e *ProxyError) Error() string {
	addr := strconv.Quote(e.Addr)
	s := "proxy " + e.Proxy + " to " + addr[1:min(len(addr)-1, 256)] + ": "
	if e.Status != 0 {
		s += "refused with " + strconv.Itoa(e.Status)
		if text := http.StatusText(e.Status); text != "" {
			s += " " + text
		}
		return s
	}
	return s + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// ProxyDial returns a function that dials through a proxy: socks5 and socks5h (RFC 1928, RFC 1929),
// http and https (CONNECT, RFC 9110 section 9.3.6). The URL has a host and a port, and may have a user and a password;
// an HTTP proxy gets them by Basic authentication, by http in clear text.
//
// The function takes names as well as addresses, and the proxy looks the names up, with socks5, too: see [DialName].
// It returns when its ctx ends, and closes the connection then; bytes that the proxy sends after its reply are those of the peer.
// Its errors are [*ProxyError]. The connection is that of dial where the proxy does not make another necessary.
//
// dial reaches the proxy; it is given its host and port as they are in the URL. If nil, a zero [net.Dialer].
// The error is [ErrProxy] if the scheme is another one, or the port is missing.
func ProxyDial(u *url.URL, dial DialFunc) (DialFunc, error) {
	return ProxyDialTLS(u, dial, nil)
}

// ProxyDialTLS is [ProxyDial] with a configuration for the TLS connection to an https proxy.
// If nil, or without a ServerName, the certificate must be one for the host in the URL; if nil or without RootCAs, by the system's roots.
func ProxyDialTLS(u *url.URL, dial DialFunc, conf *tls.Config) (DialFunc, error) {
	p, err := newProxy(u, dial, conf)
	if err != nil {
		return nil, err
	}
	return p.DialContext, nil
}

// proxyDialer dials through one proxy.
type proxyDialer struct {
	url  string // without user and password
	addr string // host and port
	user *url.Userinfo
	dial DialFunc
	conf *tls.Config // nil without TLS
	talk func(ctx context.Context, p *proxyDialer, nc net.Conn, addr string) (net.Conn, error)
}

func newProxy(u *url.URL, dial DialFunc, conf *tls.Config) (*proxyDialer, error) {
	if u == nil {
		return nil, fmt.Errorf("%w: there is none", ErrProxy)
	}
	host, port := u.Hostname(), u.Port()
	shown := clipURL(u)
	p := &proxyDialer{url: shown, addr: net.JoinHostPort(host, port), user: u.User, dial: dial}
	switch u.Scheme {
	case "socks5", "socks5h":
		p.talk = talkSOCKS
		name, password := p.credentials()
		if u.User != nil && (name == "" || len(name) > 255 || len(password) > 255) {
			return nil, fmt.Errorf("%w: %s: user and password must have 1 to 255 and up to 255 bytes (RFC 1929)", ErrProxy, shown)
		}
	case "https":
		p.conf = proxyTLS(conf, host)
		p.talk = talkHTTP
	case "http":
		p.talk = talkHTTP
	default:
		return nil, fmt.Errorf("%w: %s: the scheme must be socks5, socks5h, http or https", ErrProxy, shown)
	}
	if n, err := strconv.ParseUint(port, 10, 16); host == "" || n == 0 || err != nil {
		return nil, fmt.Errorf("%w: %s: a host and a port are needed", ErrProxy, shown)
	}
	if p.dial == nil {
		p.dial = new(net.Dialer).DialContext
	}
	return p, nil
}

// clipURL is the part of a URL that may be shown.
func clipURL(u *url.URL) string {
	s := fmt.Sprintf("%q", u.Scheme+"://"+u.Host)
	return s[1:min(len(s)-1, 256)]
}

func proxyTLS(conf *tls.Config, host string) *tls.Config {
	if conf == nil {
		conf = new(tls.Config)
	}
	conf = conf.Clone()
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	conf.NextProtos = []string{"http/1.1"} // CONNECT as it is written here
	return conf
}

func (p *proxyDialer) credentials() (name, password string) {
	if p.user == nil {
		return "", ""
	}
	password, _ = p.user.Password()
	return p.user.Username(), password
}

// DialContext is the DialFunc.
func (p *proxyDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			<-ctx.Done() // the deadline of the connection may have been ahead of it
		}
		var pe *ProxyError
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case errors.As(err, &pe): // with the status
			return nil, pe
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		}
		return nil, &ProxyError{Proxy: p.url, Addr: addr, Err: err}
	}
	if host, _, err := net.SplitHostPort(addr); err != nil || strings.ContainsFunc(host, notInHost) {
		return fail(errTarget)
	}
	nc, err := p.dial(ctx, network, p.addr)
	if err != nil {
		return fail(err)
	}
	if nc == nil {
		return fail(errNoConn)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	out, err := p.talk(ctx, p, nc, addr)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = nc.Close()
		return fail(err)
	}
	return out, nil
}

var errTarget = errors.New("not a host and a port")

// notInHost are the characters that no host has, and that would be something else to an HTTP proxy.
func notInHost(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("/?#@\\\"<>", r) }

// talkSOCKS asks a SOCKS proxy for a connection.
func talkSOCKS(ctx context.Context, p *proxyDialer, nc net.Conn, addr string) (net.Conn, error) {
	var auth *proxy.Auth
	if p.user != nil {
		auth = new(proxy.Auth)
		auth.User, auth.Password = p.credentials()
	}
	d, err := proxy.SOCKS5("tcp", p.addr, auth, dialed{nc})
	if err != nil {
		return nil, err
	}
	if _, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", addr); err != nil {
		var oe *net.OpError
		if errors.As(err, &oe) { // it repeats the addresses
			err = oe.Err
		}
		return nil, err
	}
	return nc, nil // not what wraps it: that hides what kind of connection it is
}

// dialed is a dialer that has dialled.
type dialed struct{ nc net.Conn }

func (d dialed) Dial(string, string) (net.Conn, error) { return d.nc, nil }

func (d dialed) DialContext(context.Context, string, string) (net.Conn, error) { return d.nc, nil }

// DialName connects to a target without looking its name up: dial, such as that of [ProxyDial], is given the name itself.
// It returns when ctx ends or [Target.Timeout] is over, even if dial ignores its ctx, and its error is one [*DialError], as those of [Dial].
func DialName(ctx context.Context, dial DialFunc, t Target) (net.Conn, error) {
	limit := t.Timeout
	if limit <= 0 {
		limit = defaultTimeout
	}
	dctx, cancel := context.WithTimeoutCause(ctx, limit, ErrTimeout)
	defer cancel()
	done, dialed := make(chan struct{}), make(chan attempt)
	defer close(done)
	go func() {
		a := attempt{addr: t.Addr()}
		a.conn, a.err = dial(dctx, "tcp", a.addr)
		if a.err == nil && a.conn == nil {
			a.err = errNoConn
		}
		select {
		case dialed <- a:
		case <-done:
			if a.conn != nil {
				_ = a.conn.Close()
			}
		}
	}()
	select {
	case a := <-dialed:
		if a.err != nil {
			return nil, &DialError{Addr: a.addr, Err: a.err}
		}
		return a.conn, nil
	case <-dctx.Done():
		return nil, &DialError{Addr: t.Addr(), Err: context.Cause(dctx)}
	}
}

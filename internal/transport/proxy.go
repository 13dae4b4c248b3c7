package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
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
	s := "proxy " + e.Proxy + " to " + e.Addr + ": "
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
func ProxyDial(proxy *url.URL, dial DialFunc) (DialFunc, error) {
	return ProxyDialTLS(proxy, dial, nil)
}

// ProxyDialTLS is [ProxyDial] with a configuration for the TLS connection to an https proxy.
// If nil, or without a ServerName, the certificate must be one for the host in the URL; if nil or without RootCAs, by the system's roots.
func ProxyDialTLS(proxy *url.URL, dial DialFunc, conf *tls.Config) (DialFunc, error) {
	p, err := newProxy(proxy, dial, conf)
	if err != nil {
		return nil, err
	}
	return p.DialContext, nil
}

type proxyDialer struct {
	url  string // without user and password
	addr string // host and port
	user *url.Userinfo
	dial DialFunc
	conf *tls.Config // nil without TLS
	via  func(ctx context.Context, p *proxyDialer, nc net.Conn, addr string) (net.Conn, error)
}

func newProxy(u *url.URL, dial DialFunc, conf *tls.Config) (*proxyDialer, error) {
	return nil, fmt.Errorf("%w", ErrProxy)
}

// DialContext is the DialFunc.
func (p *proxyDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return nil, &ProxyError{Proxy: p.url, Addr: addr, Err: errors.ErrUnsupported}
}

// DialName connects to a target without looking its name up: dial, such as that of [ProxyDial], is given the name itself.
// It returns when ctx ends or [Target.Timeout] is over, as [Dial] does, and its error is like that of Dial.
func DialName(ctx context.Context, dial DialFunc, t Target) (net.Conn, error) {
	return nil, &DialError{Addr: t.Addr(), Err: errors.ErrUnsupported}
}

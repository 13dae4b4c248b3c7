package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/coder/websocket"
)

const (
	webSocketProtocol = "xmpp"   // RFC 7395 section 3.1
	webRedirects      = 3        // that are followed
	webHeaderBytes    = 64 << 10 // of an answer's header
)

var (
	errWebSocketURL      = errors.New("websocket: the address is no absolute URL of a host, without a fragment")
	errWebSocketProtocol = errors.New("websocket: the server has not agreed to the sub-protocol xmpp")
	errRedirectInsecure  = errors.New("redirected to what is not https")
	errRedirectLocal     = errors.New("redirected to a local address")
	errRedirects         = errors.New("redirected too often")
	errRedirectLoop      = errors.New("redirected in a circle")
	errNoTLSConfig       = errors.New("no TLS configuration")
)

// DialWebSocket makes a wire of a WebSocket (RFC 7395) to a wss: address, or a ws: one if w.Insecure.
// What it returns is a [Secured], too.
//
// ctx bounds the making of the connection and means nothing to it afterwards.
// Up to three redirections are followed, to https addresses only, and not from elsewhere to a local address as [LookUpHostMeta] has it;
// w.Insecure permits both, though never a way from https back to http. Compression is not offered.
// The server must agree to the sub-protocol xmpp.
//
// Each message must hold exactly one element, as a document of its own which begins with '<':
// other messages are an *[xmlstream.Error]. Fragments of a message are put together.
// w.Meter is told of all bytes of the WebSocket, pings included.
//
// Errors of w.Dial, w.TLS and the handshake are in the error that is returned; the path and query of the address are not.
func DialWebSocket(ctx context.Context, w Web, address string) (Wire, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "":
		return nil, errWebSocketURL // the error of Parse repeats what may be a password
	case u.Scheme != "wss" && (u.Scheme != "ws" || !w.Insecure):
		return nil, fmt.Errorf("websocket: addresses with %s: are not allowed", webQuoted(u.Scheme))
	}
	client, done := w.httpClient(u.Hostname())
	defer done()
	up := &upgrader{next: client.Transport, meter: w.Meter}
	client.Transport = up
	ws, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient:      client,
		HTTPHeader:      w.Header,
		Subprotocols:    []string{webSocketProtocol},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		var ue *url.Error
		switch {
		case errors.As(err, &ue):
			err = ue.Err
		case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
			err = fmt.Errorf("the server has answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
		}
		return nil, fmt.Errorf("websocket to %s: %w", webQuoted(u.Host), err)
	}
	wire := &webSocket{ws: ws, conn: up.conn, tls: resp.TLS, lim: w.Limits}
	wire.status.Store(int32(websocket.StatusNormalClosure))
	ws.SetReadLimit(-1) // message has a limit that leaves room for an answer
	if ws.Subprotocol() != webSocketProtocol {
		_ = wire.Close()
		return nil, errWebSocketProtocol
	}
	return wire, nil
}

// upgrader puts a webSocketConn in the place of the connection that the library gets.
type upgrader struct {
	next  http.RoundTripper
	meter Meter
	conn  *webSocketConn
}

func (u *upgrader) RoundTrip(req *http.Request) (*http.Response, error) {
	var got atomic.Pointer[net.Conn]
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { got.Store(&i.Conn) }}
	resp, err := u.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	if rwc, ok := resp.Body.(io.ReadWriteCloser); ok {
		u.conn = &webSocketConn{rwc: rwc, meter: u.meter}
		if nc := got.Load(); nc != nil {
			u.conn.under = *nc
			if over, ok := (*nc).(interface{ NetConn() net.Conn }); ok { // TLS
				u.conn.under = over.NetConn()
			}
		}
		resp.Body = u.conn
	}
	return resp, nil
}

// httpClient is a client for requests to an address of that host; done is to be called after them. A connection that was upgraded stays.
func (w Web) httpClient(host string) (client *http.Client, done func()) {
	client = &http.Client{}
	if w.Client != nil {
		*client = *w.Client
	}
	client.CheckRedirect = w.checkRedirect(host, client.CheckRedirect)
	switch {
	case w.Client == nil:
		tr := w.roundTripper()
		client.Transport = tr
		return client, tr.CloseIdleConnections
	case client.Transport == nil:
		client.Transport = http.DefaultTransport
	}
	return client, func() {}
}

// checkRedirect says where requests to an address of that host may be sent on to; then next is asked, if it is not nil.
func (w Web) checkRedirect(host string, next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		req.Header.Del("Referer") // it may have secrets of the address before
		last := via[len(via)-1].URL
		insecure := w.Insecure && req.URL.Scheme == "http" && last.Scheme == "http"
		switch {
		case len(via) > webRedirects:
			return errRedirects
		case req.URL.Scheme != "https" && !insecure:
			return errRedirectInsecure
		case slices.ContainsFunc(via, func(r *http.Request) bool { return r.URL.String() == req.URL.String() }):
			return errRedirectLoop
		case !w.mayLead(host, req.URL.Hostname()):
			return errRedirectLocal
		case next != nil:
			return next(req, via)
		}
		return nil
	}
}

// roundTripper makes HTTP/1.1 connections by Dial and TLS.
func (w Web) roundTripper() *http.Transport {
	dial := w.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return &http.Transport{
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			conf, err := w.tlsConfig(ctx, host)
			if err != nil {
				return nil, err
			}
			nc, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			tc := tls.Client(nc, conf)
			if err := tc.HandshakeContext(ctx); err != nil {
				_ = nc.Close()
				return nil, err
			}
			return tc, nil
		},
		DisableCompression:     true,
		MaxResponseHeaderBytes: webHeaderBytes,
	}
}

// tlsConfig is what TLS gives for a host, fit for HTTP/1.1.
func (w Web) tlsConfig(ctx context.Context, host string) (*tls.Config, error) {
	if w.TLS == nil {
		return ClientTLS(nil, host, "", nil, false), nil
	}
	conf, err := w.TLS(ctx, host)
	switch {
	case err != nil:
		return nil, err
	case conf == nil:
		return nil, errNoTLSConfig
	}
	conf = conf.Clone()
	conf.NextProtos = slices.DeleteFunc(slices.Clone(conf.NextProtos), func(p string) bool { return p == "h2" })
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	return conf, nil
}

package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
)

// maxConnectReply bounds what an HTTP proxy may say before the connection is there.
const maxConnectReply = 16 << 10

var (
	errConnectReply = errors.New("the reply has more than 16 KiB")
	errConnectHTTP  = errors.New("the reply is not HTTP")
)

// talkHTTP asks an HTTP proxy for a connection: RFC 9110 section 9.3.6.
func talkHTTP(ctx context.Context, p *proxyDialer, nc net.Conn, addr string) (net.Conn, error) {
	if p.conf != nil {
		tc := tls.Client(nc, p.conf)
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		nc = tc
	}
	req := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Opaque: addr},
		Host:   addr,
		Header: http.Header{"User-Agent": {""}}, // none
	}
	if p.user != nil {
		name, password := p.credentials()
		auth := &http.Request{Header: make(http.Header)}
		auth.SetBasicAuth(name, password)
		req.Header.Set("Proxy-Authorization", auth.Header.Get("Authorization"))
	}
	if err := req.Write(nc); err != nil {
		return nil, err
	}
	in := &errReader{r: nc}
	left := &io.LimitedReader{R: in, N: maxConnectReply}
	br := bufio.NewReaderSize(left, 1<<10)
	for {
		resp, err := http.ReadResponse(br, req)
		switch {
		case err != nil && in.err != nil:
			return nil, in.err
		case err != nil && left.N <= 0:
			return nil, errConnectReply
		case err != nil:
			return nil, errConnectHTTP // err quotes what came, and that may quote the request
		case resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols: // more is to come
			continue
		case resp.StatusCode/100 != 2:
			return nil, &ProxyError{Proxy: p.url, Addr: addr, Status: resp.StatusCode}
		}
		// There is no body, whatever the header says: what has come is the peer's.
		early, _ := br.Peek(br.Buffered())
		if len(early) == 0 {
			return nc, nil
		}
		return &earlyConn{Conn: nc, early: early}, nil
	}
}

// errReader remembers the error of a connection.
type errReader struct {
	r   io.Reader
	err error
}

func (r *errReader) Read(b []byte) (n int, err error) {
	n, err = r.r.Read(b)
	if err != nil {
		r.err = err
	}
	return n, err
}

// earlyConn gives what was read with the proxy's reply to whoever reads first.
type earlyConn struct {
	net.Conn
	early []byte
}

func (c *earlyConn) Read(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	return n, nil
}

package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// newClient makes what sends the requests: HTTP/1.1, connections kept alive, no compression, no redirections, no cookies of its own.
func (b *bosh) newClient() *http.Client {
	if b.web.Client != nil {
		c := *b.web.Client
		c.Timeout, c.CheckRedirect = 0, stay
		return &c
	}
	dial := b.web.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t := &http.Transport{
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return b.dialTLS(ctx, dial, network, addr)
		},
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableCompression:  true,
		MaxIdleConnsPerHost: maxRequests,
	}
	context.AfterFunc(b.ctx, t.CloseIdleConnections)
	return &http.Client{Transport: t, CheckRedirect: stay}
}

// stay makes a redirection an answer like others.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (b *bosh) dialTLS(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{ServerName: host}
	if b.web.TLS != nil {
		if cfg, err = b.web.TLS(ctx, host); err != nil {
			return nil, &untrustedError{err}
		}
		cfg = cfg.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	cfg.NextProtos = nil
	verify := cfg.VerifyConnection
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if verify != nil {
			if err := verify(cs); err != nil {
				return &untrustedError{err}
			}
		}
		return b.pin(cs)
	}
	nc, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, err
	}
	if err := b.pin(tc.ConnectionState()); err != nil { // there is nothing to bind a login to before the handshake is over
		_ = nc.Close()
		return nil, err
	}
	return tc, nil
}

// pin holds that all connections show the same certificate (XEP-0124 section 19.2).
func (b *bosh) pin(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return &untrustedError{errors.New("transport: the server has shown no certificate")}
	}
	leaf := cs.PeerCertificates[0].Raw
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaf == nil {
		b.leaf = leaf
	}
	if !bytes.Equal(b.leaf, leaf) {
		return &untrustedError{errors.New("transport: a connection of the session has another certificate than the first")}
	}
	if b.state == nil || !b.state.HandshakeComplete {
		b.state = &cs
	}
	return nil
}

// untrustedError is a peer that is not who it should be: trying again is of no use.
type untrustedError struct{ err error }

func (e *untrustedError) Error() string { return e.err.Error() }
func (e *untrustedError) Unwrap() error { return e.err }

// post makes one request. An error means that the same may be tried again.
func (b *bosh) post(ctx context.Context, body []byte) (*boshAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		return &boshAnswer{err: err}, nil
	}
	if b.web.Header != nil {
		req.Header = b.web.Header.Clone()
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("Accept-Encoding", "identity")
	res, err := b.client.Do(req)
	if err != nil {
		var untrusted *untrustedError
		var unverified *tls.CertificateVerificationError
		if errors.As(err, &untrusted) || errors.As(err, &unverified) {
			return &boshAnswer{err: err}, nil
		}
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.TLS != nil {
		if err := b.pin(*res.TLS); err != nil {
			return &boshAnswer{err: err}, nil
		}
	}
	if err := statusError(res.StatusCode); err != nil {
		if away(res.StatusCode) {
			return nil, err
		}
		return &boshAnswer{err: err}, nil
	}
	if e := res.Header.Get("Content-Encoding"); e != "" && e != "identity" || res.Uncompressed {
		return &boshAnswer{err: errors.New("transport: a compressed answer, which nobody has asked for")}, nil
	}
	b.mu.Lock()
	lim := b.lim
	b.mu.Unlock()
	limit := bodyLimit(lim)
	if res.ContentLength > int64(limit) {
		return &boshAnswer{err: errTooLarge}, nil
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return &boshAnswer{err: errTooLarge}, nil
	}
	a, err := parseBody(data, lim)
	if err != nil {
		return &boshAnswer{err: err}, nil
	}
	return a, nil
}

var errTooLarge = &xmlstream.Error{Condition: "policy-violation", Reason: "an answer larger than the limit"}

// statusError is what an HTTP status means (XEP-0124 section 17.1), nil for 200.
func statusError(status int) error {
	e := &BOSHError{Condition: undefined, Status: status}
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest:
		e.Condition = "bad-request"
	case http.StatusForbidden, http.StatusRequestEntityTooLarge:
		e.Condition = "policy-violation"
	case http.StatusNotFound:
		e.Condition = "item-not-found"
	case http.StatusInternalServerError:
		e.Condition = "internal-server-error"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.Condition = "remote-connection-failed"
	}
	return e
}

// away reports whether the status says that somebody in between does not reach the server now.
func away(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

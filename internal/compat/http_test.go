package compat

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"

	"github.com/go-xmppframework/xmpp"
)

// forgetful is a client for BOSH to whom a server that cannot be reached says that it does not know the session:
// else the requests are made again, as long as the server might keep it.
func forgetful(cfg *xmpp.Config) *http.Client {
	return &http.Client{Transport: &forgetfulTrips{http.Transport{
		DialContext: cfg.Dial, TLSClientConfig: &tls.Config{RootCAs: cfg.RootCAs},
	}}}
}

type forgetfulTrips struct{ http.Transport }

// RoundTrip is that of http.RoundTripper.
func (t *forgetfulTrips) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.Transport.RoundTrip(r)
	if err != nil && r.Context().Err() == nil {
		return &http.Response{StatusCode: http.StatusNotFound, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
	}
	return res, err
}

package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
)

var discardLog = log.New(io.Discard, "", 0)

func TestDialWebSocketAddress(t *testing.T) {
	refused := map[string]bool{ // whether Insecure permits it
		"ws://example.test/": true, "http://example.test/": false, "https://example.test/": false, "": false, "wss:": false, "wss:///x": false,
		"wss:example.test": false, "wss://example.test/#x": false, "wss://user:secret@exa mple.test/": false, "/ws": false, "wss://:1/": false,
	}
	unreachable := errors.New("unreachable")
	for address, insecure := range refused {
		for _, w := range []Web{{}, {Insecure: true}} {
			w.Meter = new(countMeter)
			w.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, unreachable }
			_, err := DialWebSocket(t.Context(), w, address)
			if err == nil || errors.Is(err, unreachable) != (insecure && w.Insecure) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q, Insecure %v: %v", address, w.Insecure, err)
			}
		}
	}
}

func TestDialWebSocketFails(t *testing.T) {
	hook := errors.New("the hook says no")
	stranger := newRoot(t)
	status := func(code int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) } }
	tests := map[string]struct {
		serve  http.HandlerFunc
		change func(w *Web)
		is     error
		text   string
	}{
		"hook":         {nil, func(w *Web) { w.TLS = func(context.Context, string) (*tls.Config, error) { return nil, hook } }, hook, ""},
		"no config":    {nil, func(w *Web) { w.TLS = func(context.Context, string) (*tls.Config, error) { return nil, nil } }, errNoTLSConfig, ""},
		"dial":         {nil, func(w *Web) { w.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, hook } }, hook, ""},
		"verification": {nil, func(w *Web) { verifyWith(w, func(tls.ConnectionState) error { return hook }) }, hook, ""},
		"404":          {status(404), nil, nil, "the server has answered 404 Not Found"},
		"200":          {status(200), nil, nil, "the server has answered 200 OK"},
		"407":          {status(407), nil, nil, "407"},
		"no protocol":  {webUpgrade(func(p *webPeer) { p.rest() }, ""), nil, errWebSocketProtocol, ""},
		"other protocol": {webUpgrade(func(p *webPeer) { p.rest() }, "Sec-WebSocket-Protocol: chat"), nil, nil,
			"unexpected Sec-WebSocket-Protocol"},
		"protocol in capitals": {webUpgrade(func(p *webPeer) { p.rest() }, "Sec-WebSocket-Protocol: XMPP"), nil, errWebSocketProtocol, ""},
		"compression": {webUpgrade(func(p *webPeer) { p.rest() }, "Sec-WebSocket-Protocol: xmpp", "Sec-WebSocket-Extensions: permessage-deflate"),
			nil, nil, "unsupported extensions"},
		"name": {nil, func(w *Web) {
			get := w.TLS
			w.TLS = func(ctx context.Context, _ string) (*tls.Config, error) { return get(ctx, "elsewhere.test") }
		}, nil, `not for "elsewhere.test"`},
		"authority": {nil, func(w *Web) {
			w.TLS = func(_ context.Context, host string) (*tls.Config, error) {
				return ClientTLS(nil, host, host, stranger.pool(), false), nil
			}
		}, nil, "unknown authority"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			if tt.serve == nil {
				tt.serve = status(500)
			}
			srv := newWebServer(t, tt.serve)
			web := srv.web(new(countMeter))
			if tt.change != nil {
				tt.change(&web)
			}
			_, err := DialWebSocket(t.Context(), web, webAddress+"?token=secret")
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want %v %s", err, tt.is, tt.text)
			}
		})
	}
}

// verifyWith lets f look at each connection.
func verifyWith(w *Web, f func(tls.ConnectionState) error) {
	get := w.TLS
	w.TLS = func(ctx context.Context, host string) (*tls.Config, error) {
		conf, err := get(ctx, host)
		conf.VerifyConnection = f
		return conf, err
	}
}

func TestDialWebSocketTime(t *testing.T) {
	testkit.Goroutines(t)
	srv := newWebServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := DialWebSocket(ctx, srv.web(new(countMeter)), webAddress)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// The configuration for the handshake is asked for with the host of the address, and with that of a redirection.
func TestDialWebSocketRedirects(t *testing.T) {
	tests := map[string]struct {
		chain []string // where the requests are sent on to
		is    error
	}{
		"wss":        {[]string{"wss://other.test/ws"}, nil},
		"https":      {[]string{"https://other.test/ws"}, nil},
		"three":      {[]string{"/1", "/2", "/3"}, nil},
		"four":       {[]string{"/1", "/2", "/3", "/4"}, errRedirects},
		"circle":     {[]string{"/1", "/ws?k=secret"}, errRedirectLoop},
		"http":       {[]string{"http://other.test/"}, errRedirectInsecure},
		"ws":         {[]string{"ws://other.test/"}, errRedirectInsecure},
		"file":       {[]string{"file:///etc/passwd"}, errRedirectInsecure},
		"link-local": {[]string{"https://169.254.169.254/"}, errRedirectLocal},
		"localhost":  {[]string{"wss://localhost/"}, errRedirectLocal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			var mu sync.Mutex
			var hosts, referers []string
			at := 0
			upgrade := webUpgrade(func(p *webPeer) { p.rest() })
			srv := newWebServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				n := at
				at++
				referers = append(referers, r.Header.Get("Referer"))
				mu.Unlock()
				if n < len(tt.chain) {
					w.Header().Set("Location", tt.chain[n])
					w.WriteHeader(http.StatusFound)
					return
				}
				upgrade(w, r)
			}))
			web := srv.web(new(countMeter))
			get := web.TLS
			web.TLS = func(ctx context.Context, host string) (*tls.Config, error) {
				mu.Lock()
				defer mu.Unlock()
				hosts = append(hosts, host)
				return get(ctx, host)
			}
			w, err := DialWebSocket(t.Context(), web, webAddress+"?k=secret")
			if !errors.Is(err, tt.is) || (err == nil) != (tt.is == nil) {
				t.Fatalf("error %v, want %v", err, tt.is)
			}
			if w != nil {
				testkit.Must(t, w.Close())
			}
			mu.Lock()
			defer mu.Unlock()
			want := []string{"example.test"}
			if strings.Contains(tt.chain[0], "other.test") && tt.is == nil {
				want = append(want, "other.test")
			}
			if hosts = slices.Compact(hosts); !slices.Equal(hosts, want) {
				t.Errorf("TLS was asked for %q, want %q", hosts, want)
			}
			if s := strings.Join(referers, ""); s != "" {
				t.Errorf("Referer %q", s)
			}
		})
	}
}

package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
)

// proxyTalks are the talks of a client with a proxy that end well.
var proxyTalks = map[string][]socksStep{
	"socks5": socksLogin(),
	"http":   {{"", "HTTP/1.1 200 OK\r\nVia: 1.1 proxy\r\n\r\n"}},
}

// playSome plays a talk, and says only so many bytes of its answers.
func playSome(nc net.Conn, scheme string, bytes int) {
	for _, s := range proxyTalks[scheme] {
		if scheme == "http" {
			readConnect(nc)
		} else {
			readProxied(nc, len(s.want))
		}
		if n := min(bytes, len(s.answer)); n < len(s.answer) {
			_, _ = io.WriteString(nc, s.answer[:n])
			return
		}
		bytes -= len(s.answer)
		_, _ = io.WriteString(nc, s.answer)
	}
}

func answerBytes(scheme string) (n int) {
	for _, s := range proxyTalks[scheme] {
		n += len(s.answer)
	}
	return n
}

// TestRel_R32 lets a proxy die, and stall, before it is asked, at every byte of its answers, and after.
func TestRel_R32(t *testing.T) {
	testkit.Goroutines(t)
	for scheme := range proxyTalks {
		t.Run(scheme, func(t *testing.T) {
			t.Run("dial", func(t *testing.T) {
				refused := errors.New("refused")
				through := proxied(ProxyDial(proxyURL(scheme), func(context.Context, string, string) (net.Conn, error) { return nil, refused }))
				if nc, err := through(t.Context(), "tcp", peerAddr); nc != nil || !errors.Is(err, refused) || !errors.As(err, new(*ProxyError)) || proxyLeaks(err) {
					t.Error(nc, err)
				}
				through = proxied(ProxyDial(proxyURL(scheme), func(context.Context, string, string) (net.Conn, error) { return nil, nil }))
				if nc, err := through(t.Context(), "tcp", peerAddr); nc != nil || err == nil {
					t.Error(nc, err)
				}
			})
			t.Run("at once", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dial, closed := pipeDial(t, func(net.Conn) {})
					wantDead(t, scheme, dial, closed)
				})
			})
			for cut := range answerBytes(scheme) {
				synctest.Test(t, func(t *testing.T) {
					dial, closed := pipeDial(t, func(nc net.Conn) { playSome(nc, scheme, cut) })
					wantDead(t, scheme, dial, closed)
				})
				for _, how := range []string{"cancelled", "deadline"} {
					synctest.Test(t, func(t *testing.T) {
						gone := make(chan struct{})
						dial, closed := pipeDial(t, func(nc net.Conn) {
							playSome(nc, scheme, cut)
							_, _ = io.Copy(io.Discard, nc)
							close(gone)
						})
						ctx, cancel := context.WithCancel(t.Context())
						want := context.Canceled
						if how == "deadline" {
							ctx, cancel = context.WithTimeout(t.Context(), time.Second)
							want = context.DeadlineExceeded
						} else {
							time.AfterFunc(time.Second, cancel)
						}
						defer cancel()
						start := time.Now()
						nc, err := proxied(ProxyDial(proxyURL(scheme), dial))(ctx, "tcp", peerAddr)
						if nc != nil || !errors.Is(err, want) || time.Since(start) != time.Second || !proxyClosed(closed) || proxyLeaks(err) {
							t.Errorf("stall after %d, %s: %v after %v", cut, how, err, time.Since(start))
						}
						<-gone
					})
				}
			}
			t.Run("after", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dial, _ := pipeDial(t, func(nc net.Conn) {
						playSome(nc, scheme, answerBytes(scheme))
						_, _ = io.WriteString(nc, "<half")
					})
					nc := proxied(proxied(ProxyDial(proxyURL(scheme), dial))(t.Context(), "tcp", peerAddr))
					got, err := io.ReadAll(nc)
					if string(got) != "<half" || err != nil {
						t.Errorf("read %q, %v", got, err)
					}
					nc.Close()
				})
			})
			t.Run("ctx that has ended", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dial, closed := pipeDial(t, func(nc net.Conn) { playSome(nc, scheme, answerBytes(scheme)) })
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					if nc, err := proxied(ProxyDial(proxyURL(scheme), dial))(ctx, "tcp", peerAddr); nc != nil || !errors.Is(err, context.Canceled) || !proxyClosed(closed) {
						t.Error(nc, err)
					}
				})
			})
		})
	}
}

// wantDead fails unless a proxy that died is a failed dial, at once.
func wantDead(t *testing.T, scheme string, dial DialFunc, closed chan struct{}) {
	t.Helper()
	start := time.Now()
	nc, err := proxied(ProxyDial(proxyURL(scheme), dial))(t.Context(), "tcp", peerAddr)
	var pe *ProxyError
	if nc != nil || !errors.As(err, &pe) || pe.Status != 0 || errors.Is(err, io.EOF) || proxyLeaks(err) || strings.Contains(err.Error(), "HTTP") || time.Since(start) > 0 {
		t.Errorf("a dead proxy: %v", err)
	}
	if !proxyClosed(closed) {
		t.Error("the connection is open")
	}
}

// TestDialName: one attempt, by name, within the time of the target.
func TestDialName(t *testing.T) {
	testkit.Goroutines(t)
	target := Target{Host: "chat.example.test", Port: 5222}
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		nc := proxied(DialName(t.Context(), func(_ context.Context, network, addr string) (net.Conn, error) {
			if network != "tcp" || addr != peerAddr {
				t.Errorf("dialled %s %s", network, addr)
			}
			return ours, nil
		}, target))
		nc.Close()

		refused := errors.New("refused")
		_, err := DialName(t.Context(), func(context.Context, string, string) (net.Conn, error) { return nil, refused }, target)
		var de *DialError
		if !errors.As(err, &de) || de.Addr != peerAddr || !errors.Is(err, refused) {
			t.Error(err)
		}
		if _, err := DialName(t.Context(), func(context.Context, string, string) (net.Conn, error) { return nil, nil }, target); err == nil {
			t.Error("no connection and no error")
		}

		// A dialer that ignores its ctx.
		late := func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Minute)
			late, _ := net.Pipe()
			return &closeNoted{Conn: late, closed: make(chan struct{})}, nil
		}
		for _, tt := range []struct {
			target, ctx, want time.Duration
			err               error
		}{
			{0, 0, defaultTimeout, ErrTimeout},
			{time.Second, 0, time.Second, ErrTimeout},
			{0, time.Second, time.Second, context.DeadlineExceeded},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if tt.ctx > 0 {
				ctx, cancel = context.WithTimeout(ctx, tt.ctx)
			}
			target.Timeout = tt.target
			start := time.Now()
			_, err := DialName(ctx, late, target)
			if d := time.Since(start); d != tt.want || !errors.Is(err, tt.err) || !errors.As(err, new(*DialError)) {
				t.Errorf("%v after %v, want %v after %v", err, d, tt.err, tt.want)
			}
			cancel()
		}
		time.Sleep(2 * time.Minute)
	})
}

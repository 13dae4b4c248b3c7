package xmpp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

const cutSize = 400

// TestRel_R01 cuts the connection at every byte of a stanza of 400 bytes, in both directions.
func TestRel_R01(t *testing.T) {
	t.Run("in", func(t *testing.T) { cutIncoming(t, false) })
	t.Run("out", func(t *testing.T) { cutOutgoing(t) })
	t.Run("in, by FIN", func(t *testing.T) { cutIncoming(t, true) })
	t.Run("in, inside TLS", cutInsideTLS)
}

func cutIncoming(t *testing.T, fin bool) {
	checkGoroutines(t)
	text := "<message from='bob@example.test/x' id='cut'><subject>s</subject><body></body><e xmlns='urn:e' a='&lt;'/></message>"
	text = strings.Replace(text, "<body></body>", "<body>"+strings.Repeat("ü", (cutSize-len(text))/2)+strings.Repeat("x", (cutSize-len(text))%2)+"</body>", 1)
	if len(text) != cutSize {
		t.Fatalf("the stanza has %d bytes", len(text))
	}
	var cut atomic.Int32
	var client atomic.Pointer[testserver.Conn]
	raw := newRawServer(t, plainLogin(func(c *rawConn) {
		c.say("%s", text[:cut.Load()])
		for end := time.Now().Add(5 * time.Second); client.Load().Counts().BytesWaiting > 0 && time.Now().Before(end); {
			runtime.Gosched()
		}
		if !fin {
			c.raw.Reset()
		}
		_ = c.raw.Close()
		c.ended = true
	}))
	for n := int32(1); n <= cutSize; n++ {
		if fin && n%8 != 0 {
			continue
		}
		cut.Store(n)
		delivered, end := 0, make(chan error, 5)
		q := xmpp.NewQueue()
		cfg := raw.plainConfig()
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := raw.Dial(ctx, network, addr)
			client.Store(nc.(*testserver.Conn))
			return nc, err
		}
		s := newStream(t, cfg,
			xmpp.Delegate{Queue: q, Connection: onDisconnect(func(err error) { end <- err })},
			xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
				delivered++
				if m.ID() != "cut" || m.Subject() != "s" || m.Child("e", "urn:e") == nil {
					t.Errorf("cut %d delivered half a stanza", n)
				}
			})})
		if err := s.Login(within(t, 5*time.Second)); err != nil && n < cutSize {
			var gone *xmpp.DisconnectedError // the cut may come before Login has returned
			var auth *xmpp.AuthError
			if !errors.As(err, &gone) && !errors.As(err, &auth) {
				t.Fatal(err)
			}
		}
		if err := soon(t, end, 5*time.Second, "DidDisconnect"); err == nil {
			t.Errorf("cut %d ended the connection without a cause", n)
		}
		if err := closeNow(s); err != nil {
			t.Error(err)
		}
		if len(end) > 0 {
			t.Error("DidDisconnect came twice")
		}
		if want := int(n) / cutSize; delivered != want {
			t.Errorf("cut %d: %d messages were delivered", n, delivered)
		}
	}
}

// cutConn breaks the connection in the middle of a write.
type cutConn struct {
	*testserver.Conn
	left  atomic.Int64 // so many bytes go through; negative: all
	cut   chan struct{}
	goOn  chan struct{}
	wrote atomic.Int64
}

func (c *cutConn) Write(p []byte) (int, error) {
	left := c.left.Load()
	if left < 0 {
		return c.Conn.Write(p)
	}
	if int64(len(p)) <= left {
		c.left.Add(-int64(len(p)))
		n, err := c.Conn.Write(p)
		c.wrote.Add(int64(n))
		return n, err
	}
	close(c.cut)
	<-c.goOn
	n, _ := c.Conn.Write(p[:left])
	c.wrote.Add(int64(n))
	c.Reset()
	return n, os.NewSyscallError("write", syscall.ECONNRESET)
}

func cutOutgoing(t *testing.T) {
	checkGoroutines(t)
	raw := newRawServer(t, plainLogin(func(*rawConn) {}))
	m := msg("cut", "")
	b := strings.Repeat("y", cutSize-len("<message type='chat' to='bob@example.test' id='cut'><body></body></message>"))
	m.SetBody(b)
	states := map[xmpp.ReceiptState]int{}
	for n := range int64(cutSize) {
		cc := &cutConn{cut: make(chan struct{}), goOn: make(chan struct{})}
		cc.left.Store(-1)
		cfg := raw.plainConfig()
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := raw.Dial(ctx, network, addr)
			cc.Conn = nc.(*testserver.Conn)
			return cc, err
		}
		rec := newRecorder()
		s := login(t, cfg, xmpp.DelegateOf(rec))
		cc.left.Store(n)
		first, err := s.SendReceipt(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		soon(t, cc.cut, 5*time.Second, "the write")
		second, err := s.SendReceipt(context.Background(), msg("behind", "x")) // in a batch of its own
		if err != nil {
			t.Fatal(err)
		}
		close(cc.goOn)
		ctx := within(t, 5*time.Second)
		st1, _ := first.Wait(ctx)
		st2, _ := second.Wait(ctx)
		states[st1]++
		states[st2]++
		if st1 != xmpp.ReceiptUnknown || !errors.Is(first.Err(), syscall.ECONNRESET) || st2 != xmpp.ReceiptNotDelivered || second.Err() == nil {
			t.Errorf("cut %d: %v (%v), and %v (%v) behind it", n, st1, first.Err(), st2, second.Err())
		}
		e := strings.Join(rec.until(t, "DidDisconnect"), " ")
		if !strings.HasSuffix(e, "DidFailToSendMessage:cut DidFailToSendMessage:behind DidDisconnect") {
			t.Errorf("cut %d: %s", n, e)
		}
		if cc.wrote.Load() != n {
			t.Errorf("cut %d: %d bytes were written", n, cc.wrote.Load())
		}
		var gone *xmpp.DisconnectedError
		if err := s.Send(ctx, msg("after", "x")); !errors.As(err, &gone) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Send after the cut returned %v", err)
		}
		_ = s.Close(noGrace)
	}
	t.Logf("receipts: %v", states)
}

// cutInsideTLS breaks a TLS connection within the record of a stanza.
func cutInsideTLS(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	for n := 1; n < times(40, 400); n++ {
		var client *testserver.Conn
		var got atomic.Int32
		cfg := configFor(srv, "alice")
		cfg.NoInitialPresence = true
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := srv.Dial(ctx, network, addr)
			client = nc.(*testserver.Conn)
			return nc, err
		}
		end := make(chan error, 5)
		s := login(t, cfg, onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) { got.Add(1) }),
			xmpp.Delegate{Connection: onDisconnect(func(err error) { end <- err })})
		client.SetChunk(1)
		before := client.Counts().BytesRead
		if err := srv.SendRaw(s.MyJID(), []byte("<message from='bob@example.test/x'><body>"+strings.Repeat("z", 350)+"</body></message>")); err != nil {
			t.Fatal(err)
		}
		for client.Counts().BytesRead < before+int64(n) {
			runtime.Gosched()
		}
		client.Reset()
		whole := client.Counts().BytesRead >= before+400
		if err := soon(t, end, 5*time.Second, "DidDisconnect"); err == nil {
			t.Error("no cause")
		}
		_ = s.Close(noGrace)
		if g := got.Load(); g != 0 && !whole {
			t.Errorf("%d messages were delivered of %d bytes", g, n)
		}
	}
}

// TestRel_R13 breaks the TLS handshake, and later the TLS stream.
func TestRel_R13(t *testing.T) {
	breaks := map[string]func(*rawConn){
		"RST":     func(c *rawConn) { c.raw.Reset() },
		"FIN":     func(c *rawConn) { _ = c.raw.Close() },
		"zeros":   func(c *rawConn) { c.say("%s", string(make([]byte, 1024))) },
		"XML":     func(c *rawConn) { c.say(header + features(offerSASL("PLAIN"))) },
		"garbage": func(c *rawConn) { c.say("\x16\x03\x03\xff\xff%s", strings.Repeat("A", 2000)) },
		"alert":   func(c *rawConn) { c.say("\x15\x03\x03\x00\x02\x02\x28") },
	}
	for name, brk := range breaks {
		t.Run(name+" in the handshake", func(t *testing.T) {
			checkGoroutines(t)
			raw := newRawServer(t, func(c *rawConn) {
				c.starttls()
				_, _ = c.Read(make([]byte, 100))
				brk(c)
			})
			s := newStream(t, raw.config())
			start := time.Now()
			err := s.Login(within(t, 5*time.Second))
			lasted(t, start, promptly, "Login")
			var ce *xmpp.ConnectError
			if !errors.As(err, &ce) || len(ce.Attempts) != 1 || ce.Attempts[0].Step != "TLS" {
				t.Errorf("Login returned %v", err)
			}
			for _, c := range raw.done() {
				if what := credentialsIn(append(c.before, c.seen...)); what != "" {
					t.Errorf("the client went on in clear text with %s", what)
				}
			}
		})
	}
	t.Run("after the login", func(t *testing.T) {
		checkGoroutines(t)
		raw := newRawServer(t, func(c *rawConn) {
			c.secure(offerSASL("SCRAM-SHA-256"))
			c.success(c.scram())
			c.bind(boundTo("alice@example.test/r"))
			c.say("<message id='whole'/><message id='half'><body>")
			if tc, ok := c.Conn.(*tls.Conn); ok { // in clear text, as somebody on the path would write it
				_, _ = fmt.Fprint(tc.NetConn(), "x</body></message><message id='forged'/>")
			}
		})
		rec := newRecorder()
		s := login(t, raw.config(), xmpp.DelegateOf(rec))
		e := strings.Join(rec.until(t, "DidDisconnect"), " ")
		if !strings.Contains(e, "DidReceiveMessage:whole") || strings.Contains(e, "half") || strings.Contains(e, "forged") {
			t.Error(e)
		}
		var re tls.RecordHeaderError
		if err := rec.err("DidDisconnect"); err == nil || !errors.As(err, &re) && !strings.Contains(err.Error(), "tls") {
			t.Errorf("DidDisconnect got %v", err)
		}
		_ = s
	})
}

package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRel_WaysKilled breaks the connection while messages go both ways: it is told once, receipts are honest, the next login works.
func TestRel_WaysKilled(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		for range 5 {
			x.login()
			_ = x.rec.take()
			var rs []*xmpp.Receipt
			for i := range 20 {
				if i == 10 {
					x.kill()
				}
				r, err := x.alice.SendReceipt(x.ctx(), msg(fmt.Sprint(i), fmt.Sprint(i)))
				if err == nil {
					rs = append(rs, r)
				} else if !errors.As(err, new(*xmpp.DisconnectedError)) {
					t.Errorf("message %d: %v", i, err)
				}
			}
			if x.bosh { // only the next request shows it
				time.Sleep(2 * time.Minute)
			}
			if err := x.ended(); err == nil {
				t.Error("the connection ended without a cause")
			}
			for i, r := range rs {
				st, _ := r.Wait(x.ctx())
				if st == xmpp.ReceiptPending || st == xmpp.ReceiptAcked || (st == xmpp.ReceiptWritten) == (r.Err() != nil) {
					t.Errorf("message %d: %v, %v", i, st, r.Err())
				}
			}
		}
		x.login()
		synctest.Wait()
		x.inBob.take()
		x.works(5)
		if n := strings.Count(strings.Join(x.rec.take(), " "), "DidDisconnect"); n != 0 {
			t.Errorf("DidDisconnect came %d times more", n)
		}
	})
}

// TestRel_WaysStall: a server that takes nothing any more is noticed within Config.WriteTimeout; one that comes back before has lost nothing.
func TestRel_WaysStall(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		x.login()
		x.freeze(true)
		for i := range 30 {
			x.send(x.bob, x.alice, i)
			x.send(x.alice, x.bob, i)
		}
		time.Sleep(20 * time.Second)
		if got := append(x.inAlice.take(), x.inBob.take()...); len(got) != 0 {
			t.Errorf("through a server that is silent came %q", got)
		}
		x.freeze(false)
		x.inAlice.wait(30)
		x.inBob.wait(30)
		wantNumbers(t, "alice", x.inAlice.take(), 30)
		wantNumbers(t, "bob", x.inBob.take(), 30)

		x.freeze(true)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() { // as much as nobody keeps
			for ctx.Err() == nil {
				if x.alice.Send(ctx, msg("", strings.Repeat("x", 50_000))) != nil {
					return
				}
			}
		}()
		start := time.Now()
		for x.alice.IsAuthenticated() && time.Since(start) < time.Hour {
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took > 3*time.Minute {
			t.Errorf("noticed after %v", took)
		}
		if err := x.ended(); err == nil {
			t.Error("the connection ended without a cause")
		}
		cancel()
		x.srv.Close()
	})
}

// TestRel_WaysDrip: the server says everything one byte at a time.
func TestRel_WaysDrip(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		x.login()
		x.drip(true)
		x.works(20)
		x.closeStream()
		if err := x.ended(); err != nil {
			t.Errorf("DidDisconnect got %v", err)
		}
	})
}

// TestRel_WaysCut cuts the connection at every step of a login, by RST, by FIN and by silence: Login fails in time, and the next one works.
func TestRel_WaysCut(t *testing.T) {
	checkGoroutines(t)
	for _, how := range []xmpptest.Cut{xmpptest.CutReset, xmpptest.CutClose, xmpptest.CutSilence} {
		eachWay(t, func(t *testing.T, x *wayTest) {
			_ = x.alice.Close(xmpp.NoWait)
			cuts := 0
			for _, step := range append(xmpptest.Steps(), xmpptest.StepCompressed) {
				cfg := x.cfg
				cfg.ConnectTimeout, cfg.KeepAlive, cfg.NoInitialPresence = 20*time.Second, -1, true
				s := newStream(t, cfg)
				x.srv.CutInside(step, 1, how, 3)
				before, start := x.srv.Cuts(), time.Now()
				err := s.Login(x.ctx())
				took := time.Since(start)
				if x.srv.Cuts() == before { // there is no such step on this way
					x.srv.CutAt(step, 0, how)
					if err != nil {
						t.Errorf("%v is no step here, but Login returned %v", step, err)
					}
					_ = s.Close(x.ctx())
					continue
				}
				cuts++
				again := how != xmpptest.CutSilence && (x.bosh || x.web && step <= xmpptest.StepHandshake) // the second document of host-meta
				var ce *xmpp.ConnectError
				var ae *xmpp.AuthError
				switch {
				case err == nil && again: // tried again, as HTTP permits
				case err == nil, !errors.As(err, &ce) && !errors.As(err, &ae):
					t.Errorf("%v, %v: Login returned %v", step, how, err)
				case took > 40*time.Second: // 20 s for the connection, and as much for the login
					t.Errorf("%v, %v: Login took %v", step, how, took)
				}
				_ = s.Close(xmpp.NoWait)
				next := newStream(t, x.cfg)
				if err := next.Login(x.ctx()); err != nil {
					t.Errorf("after %v, %v: %v", step, how, err)
				}
				_ = next.Close(x.ctx())
			}
			if cuts < 3 {
				t.Errorf("%d steps were cut", cuts)
			}
			synctest.Wait()
		})
	}
}

// TestRel_WaysHalfClosed: the connection ends as when the server's process dies, with a stanza half sent.
func TestRel_WaysHalfClosed(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		var conns []*xmpptest.FaultConn
		dial := x.cfg.Dial
		x.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			fc := xmpptest.NewFaultConn(nc, xmpptest.Faults{})
			conns = append(conns, fc)
			return fc, nil
		}
		x.alice = newStream(t, x.cfg, xmpp.DelegateOf(x.rec), x.inAlice.delegate())
		x.login()
		synctest.Wait()
		for _, c := range conns { // the reader is told so, the writer as well
			c.Reset()
		}
		if x.bosh { // its session lives on, over other connections
			x.works(20)
			return
		}
		if err := x.ended(); err == nil {
			t.Error("no cause")
		}
		x.login()
		x.works(5)
	})
}

// TestRel_WaysLostAnswers loses answers of HTTP while messages go both ways: the session of BOSH goes on, nothing is lost or doubled.
func TestRel_WaysLostAnswers(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		x.login()
		for _, n := range []int{1, 2, 5} {
			x.srv.LoseAnswers(n)
			x.works(50)
		}
		if st := x.alice.Stats(); st.Malformed+st.Unsolicited+st.Forged != 0 {
			t.Errorf("%+v", st)
		}
	}, func(w wayIn) bool { return w.bosh })
}

// TestSec_WaysXML sends over every transport what no stream may hold: it ends with an error that says so, and nothing of it is delivered.
func TestSec_WaysXML(t *testing.T) {
	checkGoroutines(t)
	const message = "<message from='bob@example.test/x'><body>evil</body></message>"
	for name, bad := range map[string]struct{ xml, condition string }{
		"not well-formed":     {"<message><body></message>" + message, "not-well-formed"},
		"a comment":           {"<!-- x -->" + message, "restricted-xml"},
		"a DTD":               {"<!DOCTYPE x>" + message, "restricted-xml"},
		"text":                {"hello" + message, "not-well-formed|bad-format|bad-request"},
		"another namespace":   {"<message xmlns='urn:x'><body>evil</body></message>", "invalid-namespace|unsupported-stanza-type"},
		"an unknown prefix":   {"<a:message/>" + message, "not-well-formed"},
		"an unknown entity":   {"<message><body>&x;</body></message>" + message, "not-well-formed|restricted-xml"},
		"too deep":            {strings.Repeat("<a xmlns='urn:a'>", 200) + message, "policy-violation"},
		"a character of none": {"<message><body>&#1;</body></message>" + message, "not-well-formed"},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, x *wayTest) {
				x.login()
				x.say("%s", bad.xml)
				err := x.ended()
				var se *xmpp.StreamError
				if !errors.As(err, &se) || !se.Local || !strings.Contains("|"+bad.condition+"|", "|"+se.Condition+"|") {
					t.Errorf("DidDisconnect got %v", err)
				}
				if got := x.inAlice.take(); len(got) != 0 {
					t.Errorf("delivered: %q", got)
				}
				x.login()
				x.works(2)
			})
		})
	}
}

// TestRel_WaysRefused: nobody is there, then somebody is.
func TestRel_WaysRefused(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		x.srv.Refuse(true)
		start := time.Now()
		var ce *xmpp.ConnectError
		if err := x.alice.Login(x.ctx()); !errors.As(err, &ce) || len(ce.Attempts) == 0 {
			t.Errorf("Login returned %v", err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		x.srv.Refuse(false)
		x.login()
		x.works(2)
	})
}

// TestRel_WaysClosedAnyTime ends the stream at any time of a login: Login returns, nothing stays.
func TestRel_WaysClosedAnyTime(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		for n := int64(1); n < 9000; n += 450 {
			var read atomic.Int64
			cfg := x.cfg
			s := (*xmpp.Stream)(nil)
			dial := cfg.Dial
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := dial(ctx, network, addr)
				return &readCount{nc, &read, n, func() { s.Disconnect() }}, err
			}
			s = newStream(t, cfg)
			result := make(chan error, 1)
			go func() { result <- s.Login(x.ctx()) }()
			start := time.Now()
			err := soon(t, result, time.Minute, "Login")
			if took := time.Since(start); took > time.Second {
				t.Errorf("after %d bytes it took %v", n, took)
			}
			synctest.Wait()
			if read.Load() >= n && err == nil && s.IsAuthenticated() && !s.IsDisconnected() {
				t.Errorf("after %d bytes the stream is still there", n)
			}
			_ = s.Close(x.ctx())
		}
	})
}

// readCount calls f when so many bytes have been read, on several connections together.
type readCount struct {
	net.Conn
	n     *atomic.Int64
	limit int64
	f     func()
}

func (c *readCount) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if sum := c.n.Add(int64(n)); sum >= c.limit && sum-int64(n) < c.limit {
		go c.f()
	}
	return n, err
}

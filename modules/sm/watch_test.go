package sm_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// manual is a client whose server is played by hand, in a bubble.
func manual(t *testing.T, srv *xmpptest.Server, cfg sm.Config) (*client, *xmpptest.Peer) {
	t.Helper()
	peer := srv.Peer("juliet")
	c := newClient(t, srv.Config("juliet"), cfg)
	c.SetKeepAlive(-1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.login()
	}()
	peer.Play("C: <enable xmlns='urn:xmpp:sm:3' resume='true'/>\nS: <enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>")
	<-done
	settle()
	return c, peer
}

const request = "<r xmlns='urn:xmpp:sm:3'/>"

// TestRel_R02 is a server that falls silent without a word. It is noticed by the silence, or by what is sent.
func TestRel_R02(t *testing.T) {
	second := sm.Config{Idle: time.Second, AckTimeout: time.Second}
	tests := []struct {
		name   string
		cfg    sm.Config
		busy   time.Duration // the client sends all the time, so often; 0: nothing
		within time.Duration // 0: it is not noticed
		least  time.Duration
	}{
		{"default", sm.Config{}, 0, time.Minute, 50 * time.Second},
		{"default, sending", sm.Config{}, time.Second, 20 * time.Second, 15 * time.Second},
		{"default, sending much", sm.Config{}, time.Millisecond, 20 * time.Second, 15 * time.Second},
		{"1 s and 1 s", second, 0, 2500 * time.Millisecond, 2 * time.Second},
		{"never ending", sm.Config{AckTimeout: -1}, 0, 0, 0},
		{"never asking", sm.Config{Idle: -1}, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *xmpptest.Server) {
				tt.cfg.Limit = 1 << 20
				c := newClient(t, srv.Config("juliet"), tt.cfg)
				c.login()
				time.Sleep(30 * time.Minute)
				if !c.IsAuthenticated() {
					t.Fatal("the connection is gone while the server answers")
				}
				settle()
				deliver(srv, c.MyJID(), "a last word")
				settle()
				srv.Freeze(c.MyJID(), true)
				start := time.Now()
				sending := make(chan struct{})
				if tt.busy == 0 {
					close(sending)
				} else {
					go func() {
						defer close(sending)
						for c.IsAuthenticated() {
							_ = c.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "x"))
							time.Sleep(tt.busy)
						}
					}()
				}
				if tt.within == 0 {
					time.Sleep(10 * time.Minute)
					if !c.IsAuthenticated() {
						t.Error("the connection was ended")
					}
					srv.Freeze(c.MyJID(), false)
					return
				}
				err := c.Wait(t.Context())
				if d := time.Since(start); d > tt.within || d < tt.least || !errors.Is(err, sm.ErrAckTimeout) {
					t.Errorf("noticed after %v: %v", d, err)
				} else {
					t.Logf("noticed after %v", d)
				}
				<-sending
				if !c.m.CanResume() {
					t.Error("the session is not held")
				}
				srv.Freeze(c.MyJID(), false)
				c.login()
				settle()
				if st := c.m.Stats(); st.Resumed != 1 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// slowConn takes its time for every large write.
type slowConn struct{ net.Conn }

func (c slowConn) Write(b []byte) (int, error) {
	if len(b) > 4096 {
		time.Sleep(200 * time.Millisecond)
	}
	return c.Conn.Write(b)
}

// TestSlowLine: as long as something is written before a request, its answer is not late.
func TestSlowLine(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		cfg := srv.Config("juliet")
		srv.Config("romeo") // who is not there, so that nothing comes back
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return slowConn{conn}, err
		}
		c := newClient(t, cfg, sm.Config{AckTimeout: 2 * time.Second, RequestAfter: 10, Idle: -1})
		c.login()
		start := time.Now()
		body := strings.Repeat("x", 100_000)
		for i := range 10 {
			if err := c.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), fmt.Sprint(i)+body)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.m.WaitAcked(t.Context()); err != nil {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if d := time.Since(start); d < 5*time.Second {
			t.Errorf("it took %v: not slow", d)
		}
	})
}

// TestSignsOfLife: a server that speaks, and does not answer, is there; but not for ever.
func TestSignsOfLife(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		c, peer := manual(t, srv, sm.Config{})
		if err := c.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for c.IsAuthenticated() {
			peer.Inject("<message/>")
			time.Sleep(10 * time.Second)
		}
		if d := time.Since(start); d < time.Minute || d > 80*time.Second {
			t.Errorf("given up after %v", d)
		}
		if err := c.Wait(t.Context()); !errors.Is(err, sm.ErrAckTimeout) {
			t.Error(err)
		}
	})
}

// TestRel_R14 lets the clock jump: the server is asked at once, and the connection ends in time if it does not answer.
func TestRel_R14(t *testing.T) {
	for _, d := range []time.Duration{time.Hour, -time.Hour, 8 * time.Hour, 3 * time.Second} {
		for _, alive := range []bool{true, false} {
			t.Run(fmt.Sprint(d, alive), func(t *testing.T) {
				bubble(t, func(t *testing.T, srv *xmpptest.Server) {
					var off atomic.Int64
					cfg := sm.Config{Idle: 10 * time.Minute}
					peer := srv.Peer("juliet")
					c := newClient(t, srv.Config("juliet"), cfg)
					c.SetKeepAlive(-1)
					c.m.SetClock(func(now time.Time) time.Time { return now.Round(0).Add(time.Duration(off.Load())) })
					done := make(chan struct{})
					go func() {
						defer close(done)
						c.login()
					}()
					peer.Play("C: <enable xmlns='urn:xmpp:sm:3' resume='true'/>\nS: <enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>")
					<-done
					time.Sleep(95 * time.Second)
					settle()
					if n := c.Stats().BytesSent; n == 0 {
						t.Fatal(n)
					}
					off.Store(int64(d)) // between two looks
					start := time.Now()
					peer.Expect(request)
					if waited := time.Since(start); waited > 10*time.Second {
						t.Errorf("asked after %v", waited)
					}
					if alive {
						peer.Play("S: <a xmlns='urn:xmpp:sm:3' h='0'/>\nC!idle 5m")
						if !c.IsAuthenticated() {
							t.Error("the connection is gone")
						}
						c.Disconnect()
						return
					}
					asked := time.Now()
					err := c.Wait(t.Context())
					if waited := time.Since(asked); !errors.Is(err, sm.ErrAckTimeout) || waited > 18*time.Second {
						t.Errorf("ended after %v: %v", waited, err)
					}
				})
			})
		}
	}
}

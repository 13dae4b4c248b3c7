package ping_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T, cfg ping.Config) (*ping.Ping, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	p := ping.New(cfg)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		if err := p.Activate(s); err != nil {
			t.Fatal(err)
		}
	})
	return p, s, peer
}

// patientPair is pair for tests in which hours pass.
func patientPair(t *testing.T, cfg ping.Config) (*ping.Ping, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	p := ping.New(cfg)
	srv := xmpptest.NewServer(t, xmpptest.WithTimeout(48*time.Hour))
	peer := srv.Peer("juliet")
	c := srv.Config("juliet")
	c.NoInitialPresence = true
	s, err := xmpp.New(c)
	if err == nil {
		err = p.Activate(s)
	}
	if err == nil {
		err = s.Login(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Disconnect() })
	return p, s, peer
}

// silent keeps automatic pings away.
var silent = ping.Config{Interval: -1}

// TestAnswer is XEP-0199 section 4.1 and 4.3: the server or another client pings us.
func TestAnswer(t *testing.T) {
	p, _, peer := pair(t, silent)
	peer.Play(`
		S: <iq from='example.test' to='{jid}' id='s2c1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
		C: <iq from='{jid}' to='example.test' id='s2c1' type='result'/>
		S: <iq from='romeo@example.test/orchard' to='{jid}' id='e2e1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
		C: <iq from='{jid}' to='romeo@example.test/orchard' id='e2e1' type='result'/>
		S: <iq id='nobody' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
		C: <iq id='nobody' type='result'/>
		S: <iq from='example.test' id='set' type='set'><ping xmlns='urn:xmpp:ping'/></iq>
		C: <iq to='example.test' id='set' type='error'>*</iq>
		S: <iq from='example.test' id='other' type='get'><ping xmlns='urn:xmpp:pong'/></iq>
		C: <iq to='example.test' id='other' type='error'>*</iq>`)
	p.Deactivate()
	peer.Play(`
		S: <iq from='example.test' id='off' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
		C: <iq to='example.test' id='off' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
}

func TestNoAnswer(t *testing.T) {
	p, s, peer := pair(t, ping.Config{Interval: -1, NoAnswer: true})
	refused := `
		S: <iq from='example.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
		C: <iq to='example.test' id='1' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`
	peer.Play(refused)
	p.Configure(silent) // counts from the next activation on
	peer.Play(refused)
	p.Deactivate()
	if err := p.Activate(s); err != nil {
		t.Fatal(err)
	}
	peer.Play(`
		S: <iq from='example.test' id='2' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
		C: <iq to='example.test' id='2' type='result'/>`)
}

// TestAsk is XEP-0199 sections 4.2 and 4.4, and what counts as an answer.
func TestAsk(t *testing.T) {
	p, _, peer := pair(t, silent)
	romeo := xmpp.MustParseJID("romeo@example.test/orchard")
	tests := []struct {
		name       string
		to         xmpp.JID
		transcript string
		fails      bool
	}{
		{"the server", xmpp.JID{}, `
			C: <iq id='{a}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
			S: <iq id='{a}' type='result'/>`, false},
		{"another client", romeo, `
			C: <iq to='romeo@example.test/orchard' id='{b}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
			S: <iq from='romeo@example.test/orchard' id='{b}' type='result'/>`, false},
		{"an error is an answer", romeo, `
			C: <iq to='romeo@example.test/orchard' id='{c}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
			S: <iq from='romeo@example.test/orchard' id='{c}' type='error'><ping xmlns='urn:xmpp:ping'/>
			     <error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`, false},
		{"from somebody else", romeo, `
			C: <iq to='romeo@example.test/orchard' id='{d}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
			S: <iq from='mallory@example.test/x' id='{d}' type='result'/>`, true},
	}
	for _, tt := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		peer.While(func() {
			rtt, err := p.SendPingToJID(ctx, tt.to)
			if (err != nil) != tt.fails || err == nil && (rtt <= 0 || rtt > time.Second) {
				t.Errorf("%s: %v after %v", tt.name, err, rtt)
			}
		}, tt.transcript)
		cancel()
	}
	peer.While(func() {
		if _, err := p.SendPingToServer(t.Context()); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq id='{e}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
		S: <iq from='example.test' id='{e}' type='result'/>`)
}

// events are what a delegate heard.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) note(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, s)
}

func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, " ")
	e.list = nil
	return s
}

func (e *events) PingDidSend(context.Context, *ping.Ping) { e.note("sent") }
func (e *events) PingDidReceivePong(_ context.Context, _ *ping.Ping, rtt time.Duration) {
	e.note(fmt.Sprintf("pong:%v", rtt))
}
func (e *events) PingDidTimeout(context.Context, *ping.Ping) { e.note("timeout") }

// TestAuto looks at the automatic pings. Time is that of a bubble.
func TestAuto(t *testing.T) {
	tests := []struct {
		name   string
		cfg    ping.Config
		answer time.Duration // how long the server takes; negative: it never answers
		busy   time.Duration // how often it says something else; 0: never
		first  time.Duration // when the first ping is sent after the last word from the server; 0: never
		ends   time.Duration // how long after it the connection ends; 0: it does not
		events string        // of the first ping
	}{
		{name: "default", first: time.Minute, answer: 250 * time.Millisecond, events: "sent pong:250ms"},
		{name: "every 5 s", cfg: ping.Config{Interval: 5 * time.Second}, first: 5 * time.Second, events: "sent pong:0s"},
		{name: "never", cfg: silent},
		{name: "no silence", busy: 30 * time.Second},
		{name: "no answer", answer: -1, first: time.Minute, ends: 10 * time.Second, events: "sent timeout"},
		{name: "R-02: interval and timeout 1 s", cfg: ping.Config{Interval: time.Second, Timeout: time.Second}, answer: -1, first: time.Second, ends: time.Second, events: "sent timeout"},
		{name: "late", cfg: ping.Config{Timeout: 2 * time.Second}, answer: 3 * time.Second, first: time.Minute, ends: 2 * time.Second, events: "sent timeout"},
		{name: "no answer, kept", cfg: ping.Config{KeepConnection: true}, answer: -1, first: time.Minute, events: "sent timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s, peer := patientPair(t, tt.cfg)
				e := new(events)
				p.AddDelegate(e, nil)
				start, limit := time.Now(), 10*time.Minute
				if tt.busy > 0 {
					for time.Since(start) < limit {
						time.Sleep(tt.busy)
						peer.Inject("<message/>")
					}
				}
				wait := make(chan struct{})
				if tt.first > 0 {
					go func() {
						defer close(wait)
						time.Sleep(tt.first - time.Millisecond)
						synctest.Wait()
						if got := e.take(); got != "" {
							t.Errorf("too early: %s", got)
						}
						time.Sleep(2 * time.Millisecond)
						synctest.Wait()
						got := e.take()
						if !strings.HasPrefix(got, "sent") {
							t.Error("no ping was sent")
						}
						e.note(got)
					}()
					peer.Expect("<iq id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
					if tt.answer >= 0 {
						time.Sleep(tt.answer)
						if tt.ends == 0 {
							peer.Inject("<iq id='{id}' type='result'/>")
						}
					}
					<-wait
				}
				if tt.ends > 0 {
					err := s.Wait(t.Context())
					if took := time.Since(start); !errors.Is(err, ping.ErrTimeout) || took > tt.first+tt.ends+tt.answer+time.Millisecond && tt.answer < 0 {
						t.Errorf("the connection ended after %v with %v", took, err)
					}
				} else if tt.first > 0 {
					time.Sleep(11 * time.Second)
				}
				synctest.Wait()
				if got := e.take(); !strings.HasPrefix(got, tt.events) || tt.events == "" && got != "" {
					t.Errorf("events: %s, want %s", got, tt.events)
				}
				if up := s.IsAuthenticated(); up != (tt.ends == 0) {
					t.Errorf("connected: %v", up)
				}
			})
		})
	}
}

// TestConfigure changes the interval while it runs, and takes the module off and on.
func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, peer := patientPair(t, silent)
		pinged := func(what string, within time.Duration) {
			t.Helper()
			start := time.Now()
			peer.Expect("<iq id='*' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
			if d := time.Since(start); d > within {
				t.Errorf("%s: the ping came after %v", what, d)
			}
		}
		quiet := func(what string, d time.Duration) {
			t.Helper()
			before := s.Stats().StanzasSent
			time.Sleep(d)
			synctest.Wait()
			if n := s.Stats().StanzasSent - before; n != 0 {
				t.Errorf("%s: %d pings in %v", what, n, d)
			}
		}
		quiet("off", 24*time.Hour)
		keep := ping.Config{Interval: 20 * time.Second, KeepConnection: true}
		p.Configure(keep)
		pinged("switched on after a long silence", 0)
		p.Configure(silent)
		quiet("off again", time.Hour)
		p.Configure(keep)
		pinged("on again", 0)
		p.Deactivate()
		if !p.LastReceiveTime().IsZero() || p.Stream() != nil {
			t.Error("the module has not let go of the stream")
		}
		if _, err := p.SendPingToServer(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("a ping of a module that is not active: %v", err)
		}
		quiet("deactivated", time.Hour)
		if err := p.Activate(s); err != nil {
			t.Fatal(err)
		}
		if err := p.Activate(s); !errors.Is(err, xmpp.ErrModuleActive) {
			t.Errorf("activated twice: %v", err)
		}
		pinged("active again", 0)
		if d := time.Since(p.LastReceiveTime()); d < time.Hour || d != time.Since(s.LastReceived()) {
			t.Errorf("LastReceiveTime is %v ago", d)
		}
	})
}

// TestReconnect: the pings stop with the connection and start with the next session.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ping.New(ping.Config{Interval: 10 * time.Second})
		srv := xmpptest.NewServer(t)
		e := new(events)
		p.AddDelegate(e, nil)
		s := srv.Client(t, "juliet")
		if err := p.Activate(s); err != nil { // while logged in
			t.Fatal(err)
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if got := e.take(); strings.Count(got, "pong") != 3 {
			t.Errorf("in 35 s: %s", got)
		}
		s.Disconnect()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := e.take(); got != "" {
			t.Errorf("without a connection: %s", got)
		}
		if err := s.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if got := e.take(); strings.Count(got, "pong") != 3 {
			t.Errorf("in 35 s of the second connection: %s", got)
		}
		srv.Freeze(s.MyJID(), true)
		if err := s.Wait(t.Context()); !errors.Is(err, ping.ErrTimeout) {
			t.Errorf("the frozen connection ended with %v", err)
		}
		srv.Freeze(s.MyJID(), false)
	})
}

func TestModule(t *testing.T) {
	p := ping.New(ping.Config{})
	if p.Name() != "ping" || len(p.Features()) != 1 || p.Features()[0] != "urn:xmpp:ping" {
		t.Error(p.Name(), p.Features())
	}
	var _ xmpp.Module = p
	var _ xmpp.FeatureProvider = p
	xmpptest.CheckDelegate(t, p)
	xmpptest.CheckDelegate(t, new(events), (*ping.Delegate)(nil))
	// The handler for pings is the module's alone; who has taken it before keeps it, and the module says so.
	s, _ := xmpptest.Pair(t)
	if _, err := s.HandleIQ(stanza.Get, ping.NS, "ping", nil, func(context.Context, *xmpp.Stream, *stanza.IQ) {}); err != nil {
		t.Fatal(err)
	}
	if err := p.Activate(s); !errors.Is(err, xmpp.ErrHandlerExists) || p.Stream() != nil {
		t.Errorf("with a handler before it: %v", err)
	}
}

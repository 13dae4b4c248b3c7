package csi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/csi"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

const feature = "<csi xmlns='urn:xmpp:csi:0'/>"

// notes are what was said or heard.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, s)
}

func (n *notes) take() string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	s := strings.Join(n.list, " ")
	n.list = nil
	return s
}

func (n *notes) want(t *testing.T, what, want string) {
	t.Helper()
	if got := n.take(); got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (n *notes) CSIDidChange(_ context.Context, c *csi.CSI, active bool) {
	n.add(fmt.Sprint(active, c.IsActive()))
}

// serve is a server that notes what juliet sends.
func serve(t *testing.T, opts ...xmpptest.Option) (*xmpptest.Server, *notes) {
	said := new(notes)
	return xmpptest.NewServer(t, append(opts, xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, _ func(string)) bool {
		said.add(e.Tag)
		return stanza.Namespace(e) == csi.NS
	}))...), said
}

// client is a stream with the module, not connected, and what the module's delegate hears.
func client(t *testing.T, srv *xmpptest.Server, cfg csi.Config, change ...func(*xmpp.Config)) (*csi.CSI, *xmpp.Stream, *notes) {
	t.Helper()
	config := srv.Config("juliet")
	for _, f := range change {
		f(&config)
	}
	s, err := xmpp.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Disconnect)
	c, heard := csi.New(cfg), new(notes)
	c.AddDelegate(heard, nil)
	if err := c.Activate(s); err != nil {
		t.Fatal(err)
	}
	return c, s, heard
}

func login(t *testing.T, s *xmpp.Stream) {
	t.Helper()
	if err := s.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var must = testkit.Must

// TestTranscript is XEP-0352 sections 3 and 4 on the wire: the two elements, each state once, nothing for the first.
func TestTranscript(t *testing.T) {
	srv := xmpptest.ScriptWith(t, []xmpptest.Option{xmpptest.WithFeatures(feature)}, `
		S!login juliet
		C: <presence/>
		C: <inactive xmlns='urn:xmpp:csi:0'/>
		C: <active xmlns='urn:xmpp:csi:0'/>
		C: <inactive xmlns='urn:xmpp:csi:0'/>`)
	c, s, _ := client(t, srv, csi.Config{})
	if c.Supported() || !c.IsActive() {
		t.Error("before the login:", c.Supported(), c.IsActive())
	}
	login(t, s)
	if !c.Supported() {
		t.Error("not supported")
	}
	for _, active := range []bool{true, true, false, false, true, true, false} {
		set := c.SetInactive
		if active {
			set = c.SetActive
		}
		must(t, set(t.Context()))
		if c.IsActive() != active {
			t.Errorf("IsActive is %v", !active)
		}
	}
	must(t, s.Close(t.Context()))
	if c.Supported() {
		t.Error("supported after the end")
	}
	must(t, c.SetActive(t.Context()))
}

// TestAbsent: a server that does not offer it, or something else by that name, is told nothing (XEP-0352 section 3).
func TestAbsent(t *testing.T) {
	for name, features := range map[string]string{"none": "<sm xmlns='urn:xmpp:sm:3'/>", "another": "<csi xmlns='urn:xmpp:csi:1'/>"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := xmpptest.ScriptWith(t, []xmpptest.Option{xmpptest.WithFeatures(features)}, `
					S!login juliet
					C: <presence/>
					C!idle 3s
					C: <message to='romeo@example.test' type='chat' id='*'><body>hi</body></message>`)
				c, s, _ := client(t, srv, csi.Config{Automatic: time.Second})
				must(t, c.SetInactive(t.Context()))
				login(t, s)
				must(t, c.SetActive(t.Context()))
				time.Sleep(4 * time.Second)
				if c.Supported() || c.IsActive() {
					t.Error("after 4 s:", c.Supported(), c.IsActive())
				}
				must(t, s.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "hi")))
				must(t, c.SetInactive(t.Context()))
				must(t, s.Close(t.Context()))
			})
		})
	}
}

// resumer holds every session that is lost, and resumes it.
type resumer struct{ logins int }

func (r *resumer) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return r }
func (r *resumer) Bind(ctx context.Context, b *xmpp.Binding) (kind xmpp.SessionKind, j xmpp.JID, err error) {
	j, err = b.Ordinary(ctx)
	if r.logins++; r.logins > 1 {
		return xmpp.SessionResumed, j, err
	}
	b.Track(r, xmpp.TrackOptions{})
	return xmpp.SessionNew, j, err
}
func (r *resumer) Sent(xmpp.Unacked) *etree.Element                    { return nil }
func (r *resumer) Flushing()                                           {}
func (r *resumer) Received(stanza.Stanza) (func(), bool)               { return nil, false }
func (r *resumer) Posted(stanza.Stanza)                                {}
func (r *resumer) ReceiveElement(*etree.Element) (taken bool, _ error) { return false, nil }
func (r *resumer) Resumed() *etree.Element                             { return nil }
func (r *resumer) Closing() []stanza.Elementer                         { return nil }
func (r *resumer) Lost(error) bool                                     { return true }
func (r *resumer) Over([]xmpp.Unacked, error)                          {}

// TestSessions: the state is remembered without a connection, and told with every session, new or resumed (XEP-0352 section 5).
func TestSessions(t *testing.T) {
	for _, resume := range []bool{false, true} {
		t.Run(fmt.Sprint("resumed: ", resume), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, said := serve(t, xmpptest.WithFeatures(feature))
				c, s, heard := client(t, srv, csi.Config{}, func(c *xmpp.Config) { c.NoInitialPresence = true })
				back := ""
				if resume {
					s.AddDelegate(xmpp.Delegate{Bind: new(resumer)})
					back = "active"
				}
				again := func(set func(context.Context) error) {
					t.Helper()
					s.Fail(errors.New("cut by the test"))
					synctest.Wait()
					must(t, set(t.Context()))
					login(t, s)
				}
				login(t, s)
				said.want(t, "active from the beginning", "")
				again(c.SetActive)
				said.want(t, "still", "")
				again(c.SetInactive)
				said.want(t, "set without a connection", "inactive")
				again(c.SetInactive)
				said.want(t, "still inactive", "inactive")
				again(c.SetActive)
				said.want(t, "active again, of which a server that has kept the state must hear", back)
				must(t, c.SetInactive(t.Context()))
				must(t, c.SetActive(t.Context()))
				said.want(t, "while connected", "inactive active")
				again(c.SetActive)
				said.want(t, "active may have been lost", back)
				if got := heard.take(); got != "" {
					t.Error("the delegate heard", got)
				}
			})
		})
	}
}

// TestAutomatic looks at what makes the state change by itself. Time is that of a bubble.
func TestAutomatic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, said := serve(t, xmpptest.WithFeatures(feature), xmpptest.WithTimeout(48*time.Hour))
		c, s, heard := client(t, srv, csi.Config{Automatic: time.Minute})
		romeo := srv.JID("romeo")
		send := func(st stanza.Stanza) {
			t.Helper()
			must(t, s.Send(t.Context(), st))
		}
		expect := func(what, wantSaid, wantHeard string) {
			t.Helper()
			said.want(t, what, wantSaid)
			heard.want(t, what+", events", wantHeard)
		}
		time.Sleep(time.Hour)
		expect("before the first session", "", "")
		login(t, s)
		expect("the login", "presence", "")
		time.Sleep(59 * time.Second)
		send(stanza.NewMessage(stanza.Chat, romeo, "hi"))
		time.Sleep(59 * time.Second)
		expect("too early", "message", "")
		time.Sleep(time.Second)
		expect("in time", "inactive", "false false")
		time.Sleep(time.Hour)
		expect("once", "", "")

		receipt := stanza.NewMessage(stanza.Chat, romeo, "")
		receipt.Element().AddChild(stanza.New("received", "urn:xmpp:receipts").A("id", "x").Element())
		for _, st := range []stanza.Stanza{
			stanza.NewIQ(stanza.Get, romeo, stanza.New("ping", "urn:xmpp:ping")), receipt,
			stanza.NewMessage(stanza.ErrorMessage, romeo, ""), stanza.NewPresence(stanza.ErrorPresence, romeo),
		} {
			send(st)
			expect("does not count: "+stanza.Compact(st.Element()), st.Name(), "")
		}
		must(t, s.ResendMyPresence(t.Context()))
		must(t, s.Send(xmpp.ByModule(t.Context()), stanza.NewMessage(stanza.Chat, romeo, "of its own accord")))
		expect("does not count: what modules send of their own accord", "presence message", "")
		for _, st := range []stanza.Stanza{
			stanza.NewMessage(stanza.Chat, romeo, "hi"), stanza.NewMessage(stanza.Chat, romeo, ""),
			stanza.NewPresence(stanza.Available, romeo), stanza.NewPresence(stanza.Available, xmpp.JID{}),
		} {
			send(st)
			expect("counts: "+stanza.Compact(st.Element()), "active "+st.Name(), "true true")
			time.Sleep(time.Minute)
			expect("silence again", "inactive", "false false")
		}

		// What it has become by itself outlives the session, and logging in does not end it.
		s.Disconnect()
		login(t, s)
		expect("a new session", "inactive presence", "")
		s.Disconnect()
		synctest.Wait()
		if err := s.Send(t.Context(), stanza.NewMessage(stanza.Chat, romeo, "hi")); err == nil {
			t.Error("sent without a connection")
		}
		expect("a try", "", "true true")
		time.Sleep(time.Minute)
		expect("silence without a connection", "", "false false")
		login(t, s)
		expect("a new session", "inactive presence", "")

		// What the application has said is the application's to take back.
		must(t, c.SetActive(t.Context()))
		expect("SetActive", "active", "")
		must(t, c.SetInactive(t.Context()))
		send(stanza.NewMessage(stanza.Chat, romeo, "hi"))
		time.Sleep(time.Hour)
		expect("SetInactive", "inactive message", "")
		must(t, c.SetActive(t.Context()))
		time.Sleep(59 * time.Second)
		expect("SetActive again", "active", "")
		time.Sleep(time.Second)
		expect("silence after it", "inactive", "false false")

		c.Deactivate()
		expect("deactivated", "active", "")
		time.Sleep(time.Hour)
		send(stanza.NewMessage(stanza.Chat, romeo, "hi"))
		expect("left alone", "message", "")
		must(t, c.Activate(s))
		time.Sleep(time.Minute)
		expect("activated during a session", "inactive", "false false")
	})
}

// TestFirstBroadcast: it belongs to logging in, whoever sends it and when; a directed presence ahead of it does not.
func TestFirstBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, said := serve(t, xmpptest.WithFeatures(feature))
		_, s, _ := client(t, srv, csi.Config{Automatic: time.Minute}, func(c *xmpp.Config) { c.NoInitialPresence = true })
		login(t, s)
		time.Sleep(time.Minute)
		said.want(t, "silence", "inactive")
		must(t, s.Send(t.Context(), stanza.NewPresence(stanza.Available, srv.JID("romeo"))))
		time.Sleep(time.Minute)
		said.want(t, "directed", "active presence inactive")
		must(t, s.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})))
		time.Sleep(time.Minute)
		said.want(t, "the first", "presence")
		must(t, s.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})))
		said.want(t, "the second", "active presence")
	})
}

// TestActivate: the module comes and goes during a session.
func TestActivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, said := serve(t, xmpptest.WithFeatures(feature))
		c, s, _ := client(t, srv, csi.Config{})
		login(t, s)
		if err := c.Activate(s); !errors.Is(err, xmpp.ErrModuleActive) {
			t.Errorf("activated twice: %v", err)
		}
		must(t, c.SetInactive(t.Context()))
		c.Deactivate()
		if !c.IsActive() || c.Supported() {
			t.Error("deactivated:", c.IsActive(), c.Supported())
		}
		said.want(t, "deactivated", "presence inactive active")
		if err := s.Send(t.Context(), stanza.New("inactive", csi.NS)); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("the elements are still registered: %v", err)
		}
		must(t, c.SetInactive(t.Context()))
		said.want(t, "set while it is off", "")
		must(t, c.Activate(s))
		said.want(t, "told then", "inactive")
	})
}

// stalled is a client whose connection takes nothing any more, so that nothing can be queued.
func stalled(t *testing.T, inactive bool) (*csi.CSI, *xmpp.Stream, *xmpptest.FaultConn, *notes) {
	t.Helper()
	srv, said := serve(t, xmpptest.WithFeatures(feature))
	var line *xmpptest.FaultConn
	c, s, _ := client(t, srv, csi.Config{}, func(c *xmpp.Config) {
		c.NoInitialPresence = true
		dial := c.Dial
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			line = xmpptest.NewFaultConn(conn, xmpptest.Faults{})
			return line, nil
		}
	})
	login(t, s)
	if inactive {
		must(t, c.SetInactive(t.Context()))
		said.want(t, "before", "inactive")
	}
	line.StallWrites(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for err := error(nil); err == nil; {
		err = s.Send(ctx, stanza.NewPresence(stanza.Available, srv.JID(strings.Repeat("x", 1000))))
	}
	return c, s, line, said
}

// hints are what the server heard of the module.
func (n *notes) hints(t *testing.T, what, want string) {
	t.Helper()
	if got := strings.Join(strings.Fields(strings.ReplaceAll(n.take(), "presence", "")), " "); got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// TestStall: the server does not read.
func TestStall(t *testing.T) {
	bubble := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	bubble("ctx", func(t *testing.T) {
		c, s, _, said := stalled(t, false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.SetInactive(ctx); !errors.Is(err, context.DeadlineExceeded) || c.IsActive() {
			t.Errorf("SetInactive returned %v", err)
		}
		waiting := make(chan error)
		go func() { waiting <- c.SetInactive(context.Background()) }()
		synctest.Wait()
		start := time.Now() // one waits; the others need not
		must(t, c.SetActive(t.Context()))
		must(t, c.SetInactive(t.Context()))
		if d := time.Since(start); d > 0 {
			t.Errorf("the others waited for %v", d)
		}
		s.Disconnect()
		must(t, <-waiting)
		said.take()
		login(t, s)
		said.hints(t, "the next session", "inactive")
	})
	// Whoever waits may hear of the loss of the connection only when the next session has begun.
	for _, limit := range []time.Duration{2 * time.Second, time.Hour} {
		bubble(fmt.Sprint("a session meanwhile, ctx of ", limit), func(t *testing.T) {
			c, _, line, said := stalled(t, false)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			waiting := make(chan error)
			go func() { waiting <- c.SetInactive(ctx) }()
			time.Sleep(time.Second)
			c.ReceiveSession(ctx, xmpp.SessionResumed)
			time.Sleep(2 * time.Second)
			line.StallWrites(false)
			must(t, <-waiting)
			want := "inactive inactive" // the first may have been queued for the connection before
			if limit < 3*time.Second {
				want = "inactive"
			}
			said.hints(t, "in the end", want)
		})
	}
	bubble("deactivated", func(t *testing.T) {
		c, s, line, said := stalled(t, true)
		start := time.Now()
		c.Deactivate()
		if d := time.Since(start); d != time.Second {
			t.Errorf("Deactivate took %v", d)
		}
		line.StallWrites(false)
		said.hints(t, "too late", "")
		must(t, c.Activate(s))
		said.hints(t, "activated again", "active")
	})
	bubble("deactivated over the end of a session", func(t *testing.T) {
		c, s, _, said := stalled(t, true)
		c.Deactivate()
		s.Disconnect()
		said.take()
		login(t, s)
		must(t, c.SetInactive(t.Context()))
		must(t, c.Activate(s))
		said.hints(t, "activated again", "inactive")
	})
}

// TestConcurrent: whoever is last, the server is told that.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, said := serve(t, xmpptest.WithFeatures(feature))
		c, s, _ := client(t, srv, csi.Config{Automatic: time.Hour})
		login(t, s)
		said.take()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 50 {
					set := c.SetActive
					if i%2 == 0 {
						set = c.SetInactive
					}
					if err := set(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for range 5 {
				s.Disconnect()
				if err := s.Login(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Wait()
		must(t, c.SetActive(t.Context()))
		must(t, c.SetInactive(t.Context()))
		must(t, c.SetActive(t.Context()))
		if got := said.take(); !strings.HasSuffix(got, "inactive active") {
			t.Errorf("the last that the server heard: %q", got[max(0, len(got)-50):])
		}
	})
}

func TestModule(t *testing.T) {
	c := csi.New(csi.Config{})
	if c.Name() != "csi" {
		t.Error(c.Name())
	}
	var _ xmpp.Module = c
	var _ xmpp.SessionReceiver = c
	xmpptest.CheckDelegate(t, c)
	xmpptest.CheckDelegate(t, new(notes), (*csi.Delegate)(nil))
}

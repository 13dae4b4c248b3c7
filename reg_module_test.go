package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
)

// diary is a module that notes sessions and what it receives in them.
type diary struct {
	xmpp.ModuleBase
	mu     sync.Mutex
	lines  []string
	filled chan struct{} // a stanza was received
}

func (d *diary) Name() string                  { return "diary" }
func (d *diary) Activate(s *xmpp.Stream) error { return d.Attach(s, d, nil) }

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lines
	d.lines = nil
	return l
}

func (d *diary) ReceiveSession(_ context.Context, k xmpp.SessionKind) {
	d.note(fmt.Sprint("session ", k))
}

func (d *diary) Receive(_ context.Context, st stanza.Stanza) {
	d.note(st.Name() + " " + st.ID())
	d.filled <- struct{}{}
}

// TestReg_SessionBeforeFirstStanza: ReceiveSession is called before the first Receive of the session, though the server
// sends right behind the login, and what it sends there is not lost.
func TestReg_SessionBeforeFirstStanza(t *testing.T) {
	checkGoroutines(t)
	raw := newRawServer(t, func(c *rawConn) {
		c.open(offerSASL("ANONYMOUS"))
		c.auth()
		c.success("")
		c.bind(boundTo("guest@example.test/r") + "<presence id='first' from='bob@example.test/x'/>")
	})
	m := &diary{filled: make(chan struct{}, 10)}
	s := newStream(t, raw.plainConfig())
	if err := m.Activate(s); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		soon(t, m.filled, 5*time.Second, "the presence")
		if got, want := m.take(), []string{fmt.Sprint("session ", xmpp.SessionNew), "presence first"}; !slices.Equal(got, want) {
			t.Fatalf("login %d: %v", i, got)
		}
		s.Disconnect()
	}
}

// TestReg_PingEndsWithActivation: a ping that waits for its answer ends nothing once its module is not active any more.
func TestReg_PingEndsWithActivation(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		raw := newRawServer(t, plainLogin(func(c *rawConn) { _ = c.SetDeadline(time.Time{}) }))
		s := login(t, raw.plainConfig())
		m := ping.New(ping.Config{Interval: time.Second, Timeout: 5 * time.Second})
		if err := m.Activate(s); err != nil {
			t.Fatal(err)
		}
		sent := s.Stats().StanzasSent
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.Stats().StanzasSent == sent {
			t.Error("no ping was sent: this run proves nothing")
		}
		m.Deactivate()
		time.Sleep(time.Minute)
		if !s.IsAuthenticated() {
			t.Error("a module that is not active ended the connection")
		}
		_ = s.Close(context.Background())
	})
}

// TestReg_AnswerThatCannotBeSent: it does not count as the answer: the handler may send another one.
func TestReg_AnswerThatCannotBeSent(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	errs := make(chan error, 2)
	_, err := s.HandleIQ(stanza.Get, "urn:x", "q", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		errs <- s.Send(ctx, iq.Result(stanza.New("q", "urn:x").T("bad \x00 text")))
		errs <- s.Send(ctx, iq.Error(stanza.ItemNotFound))
	})
	if err != nil {
		t.Fatal(err)
	}
	inject(t, p, "<iq type='get' id='1' from='bob@example.test/x'><q xmlns='urn:x'/></iq>")
	expect(t, p, "<iq type='error' id='1' to='bob@example.test/x'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	if err := soon(t, errs, time.Second, "the first answer"); !errors.Is(err, xmpp.ErrInvalidXMLChar) {
		t.Errorf("the first answer: %v", err)
	}
	if err := soon(t, errs, time.Second, "the second answer"); err != nil {
		t.Errorf("the second answer: %v", err)
	}
}

// TestReg_SameIDTwoHandlers: two requests with one id, from one sender, to two handlers: both are answered, each once.
func TestReg_SameIDTwoHandlers(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	var entered, leave [2]chan struct{}
	errs := make(chan error, 2)
	for i := range 2 {
		entered[i], leave[i] = make(chan struct{}), make(chan struct{})
		ns := fmt.Sprint("urn:", i)
		if _, err := s.HandleIQ(stanza.Get, ns, "q", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
			close(entered[i])
			<-leave[i]
			errs <- s.Send(ctx, iq.Result(stanza.New("a", ns)))
		}); err != nil {
			t.Fatal(err)
		}
		inject(t, p, "<iq type='get' id='1' from='bob@example.test/x'><q xmlns='%s'/></iq>", ns)
		soon(t, entered[i], 5*time.Second, "the handler")
	}
	for i := range 2 {
		close(leave[i])
		expect(t, p, fmt.Sprintf("<iq type='result' id='1' to='bob@example.test/x'><a xmlns='urn:%d'/></iq>", i))
		if err := soon(t, errs, time.Second, "the answer"); err != nil {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	inject(t, p, "<iq type='get' id='end' from='bob@example.test/x'><q xmlns='urn:none'/></iq>")
	expect(t, p, "<iq type='error' id='end' to='bob@example.test/x'>*</iq>") // and no third answer before
}

// TestAnswerLater: a handler that answers after it has returned keeps no other request waiting, and nobody answers in its place.
func TestAnswerLater(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	leave, errs := make(chan struct{}), make(chan error, 1)
	if _, err := s.HandleIQ(stanza.Get, "urn:x", "q", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		if iq.ID() != "slow" {
			_ = s.Send(ctx, iq.Result(nil))
			return
		}
		s.AnswerLater(iq)
		go func() {
			<-leave
			errs <- s.Send(ctx, iq.Result(stanza.New("late", "urn:x")))
		}()
	}); err != nil {
		t.Fatal(err)
	}
	inject(t, p, "<iq type='get' id='slow' from='bob@example.test/x'><q xmlns='urn:x'/></iq><iq type='get' id='fast' from='bob@example.test/x'><q xmlns='urn:x'/></iq>")
	expect(t, p, "<iq type='result' id='fast' to='bob@example.test/x'/>")
	close(leave)
	expect(t, p, "<iq type='result' id='slow' to='bob@example.test/x'><late xmlns='urn:x'/></iq>")
	if err := soon(t, errs, time.Second, "the answer"); err != nil {
		t.Error(err)
	}
	inject(t, p, "<iq type='get' id='slow' from='bob@example.test/x'><q xmlns='urn:none'/></iq>")
	expect(t, p, "<iq type='error' id='slow' to='bob@example.test/x'>*</iq>")
}

// TestReg_SilentHandlerIsLogged: a handler that returns without an answer is named in the log at Warn; one that answers is not.
func TestReg_SilentHandlerIsLogged(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	log := &logRecords{level: slog.LevelWarn}
	cfg := configFor(srv, "alice")
	cfg.Logger = slog.New(log)
	s, p := peer(t, srv, cfg)
	for ns, h := range map[string]xmpp.IQHandler{
		"urn:polite": func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) { _ = s.Send(ctx, iq.Result(nil)) },
		"urn:silent": func(context.Context, *xmpp.Stream, *stanza.IQ) {},
	} {
		if _, err := s.HandleIQ(stanza.Get, ns, "", nil, h); err != nil {
			t.Fatal(err)
		}
	}
	inject(t, p, "<iq type='get' id='1' from='bob@example.test/x'><q xmlns='urn:polite'/></iq>")
	expect(t, p, "<iq type='result' id='1' to='bob@example.test/x'/>")
	inject(t, p, "<iq type='get' id='2' from='bob@example.test/x'><q xmlns='urn:silent'/></iq>")
	expect(t, p, "<iq type='error' id='2' to='bob@example.test/x'>*</iq>")
	if text := log.all(); !strings.Contains(text, "urn:silent") || strings.Contains(text, "urn:polite") {
		t.Errorf("the log says %q", text)
	}
}

// TestReg_MalformedIQReachesNobody: an IQ without an id, or of a type that there is not, is counted and dropped before
// interceptors, modules and delegates see it.
func TestReg_MalformedIQReachesNobody(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	m := &diary{filled: make(chan struct{}, 10)}
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.Delegate{Name: "IQs", IQ: xmpp.IQFunc(func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) bool {
		if iq.ID() != "good" {
			t.Errorf("a delegate was given %s %q", iq.Type(), iq.ID())
		}
		return false
	})})
	if err := m.Activate(s); err != nil {
		t.Fatal(err)
	}
	s.AddInterceptor(xmpp.Interceptor{WillReceiveIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
		if iq.ID() != "good" {
			t.Errorf("an interceptor was given %s %q", iq.Type(), iq.ID())
		}
		return iq
	}})
	inject(t, p, "<iq type='bogus' id='1' from='bob@example.test/x'/><iq id='2' from='bob@example.test/x'/>"+
		"<iq type='get' from='bob@example.test/x'><q xmlns='urn:x'/></iq><iq type='get' id='good' from='bob@example.test/x'><q xmlns='urn:x'/></iq>")
	expect(t, p, "<iq type='error' id='good' to='bob@example.test/x'>*</iq>")
	if got, n := m.take(), s.Stats().Malformed; n != 3 || !slices.Equal(got, []string{"iq good"}) {
		t.Errorf("%d were counted, a module received %v", n, got)
	}
}

// TestReg_RequestWithoutOnePayload: a request with no payload, or two, is answered bad-request and counted before interceptors, modules,
// its owner and delegates see it, and before modules do if an interceptor has made it of a good one. Answers are not looked at in this way.
func TestReg_RequestWithoutOnePayload(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	m := &diary{filled: make(chan struct{}, 20)}
	allowed := func(who string, iq *stanza.IQ) {
		if id := iq.ID(); id != "good" && id != "end" && id != "made bad" && !strings.HasPrefix(id, "answer") {
			t.Errorf("%s was given %q", who, id)
		}
	}
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.Delegate{Name: "IQs", IQ: xmpp.IQFunc(func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) bool {
		allowed("a delegate", iq)
		return false
	})})
	if err := m.Activate(s); err != nil {
		t.Fatal(err)
	}
	if _, err := s.HandleIQ(stanza.Set, "urn:x", "", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		allowed("the owner", iq)
		_ = s.Send(ctx, iq.Result(nil))
	}); err != nil {
		t.Fatal(err)
	}
	s.AddInterceptor(xmpp.Interceptor{WillReceiveIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
		allowed("an interceptor", iq)
		if iq.ID() == "made bad" {
			iq = iq.Copy()
			iq.Add(stanza.New("b", "urn:x"))
		}
		return iq
	}})
	for id, payload := range map[string]string{
		"none": "", "text": "urn:x", "two": "<a xmlns='urn:x'/><b xmlns='urn:x'/>", "two of others": "<a xmlns='urn:x'/><b xmlns='urn:y'/>", "the same twice": "<a xmlns='urn:x'/><a xmlns='urn:x'/>",
		"and an error": "<a xmlns='urn:x'/><error type='cancel'/>", "an error": "<error type='cancel'/>", "made bad": "<a xmlns='urn:x'/>",
	} {
		for _, typ := range []string{"get", "set"} {
			inject(t, p, "<iq type='%s' id='%s' from='bob@example.test/x'>%s</iq>", typ, id, payload)
			expect(t, p, "<iq type='error' id='"+id+"' to='bob@example.test/x'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		}
	}
	inject(t, p, "<iq type='result' id='answer1'><a xmlns='urn:x'/><b xmlns='urn:x'/></iq><iq type='result' id='answer2'/>"+
		"<iq type='set' id='good' from='bob@example.test/x'> <a xmlns='urn:x'/> </iq>")
	expect(t, p, "<iq type='result' id='good' to='bob@example.test/x'/>")
	if got, n := m.take(), s.Stats().Malformed; n != 16 || !slices.Equal(got, []string{"iq answer1", "iq answer2", "iq good"}) {
		t.Errorf("%d were counted, a module received %v", n, got)
	}
}

// TestReg_RegisterElement: an element of the stanzas' namespace can be registered, and ends nothing then; a stanza cannot.
func TestReg_RegisterElement(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	seen := make(chan struct{}, 1)
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.Delegate{Element: elementFunc(func(context.Context, *xmpp.Stream) { seen <- struct{}{} })})
	defer s.RegisterElement("foo", stanza.NSClient)()
	inject(t, p, "<foo/>")
	soon(t, seen, 5*time.Second, "the element")
	for _, name := range []string{"message", "presence", "iq"} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), name) {
					t.Errorf("registering %s: %v", name, v)
				}
			}()
			s.RegisterElement(name, stanza.NSClient)
		}()
		s.RegisterElement(name, "urn:x")() // that is no stanza
	}
	if !s.IsAuthenticated() {
		t.Errorf("the stream is %v", s.State())
	}
}

package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

const nsAsk = "urn:test:ask"

func inquiry(to xmpp.JID, text string) *stanza.IQ {
	return stanza.NewIQ(stanza.Get, to, stanza.New("ask", nsAsk).T(text))
}

// asked is a request as the server saw it.
type asked struct{ id, to, text string }

func (a asked) answer(from string) string {
	return "<iq type='result' id='" + a.id + "' from='" + from + "'><ask xmlns='" + nsAsk + "'>" + a.text + "</ask></iq>"
}

// TestRel_R15 waits for 10,000 answers at once: shuffled, 1 % never given, 1 % given twice, 1 % also by somebody else.
func TestRel_R15(t *testing.T) {
	checkGoroutines(t)
	const n = 10_000
	requests := make(chan asked, n)
	srv := newServer(t, testserver.Options{Handler: func(_ *testserver.Session, e *etree.Element) bool {
		if e.Tag == "iq" && e.SelectElement("ask") != nil {
			requests <- asked{e.SelectAttrValue("id", ""), e.SelectAttrValue("to", ""), e.SelectElement("ask").Text()}
			return true
		}
		return false
	}})
	s := login(t, configFor(srv, "alice"))
	raw := func(xml string) {
		if err := srv.SendRaw(s.MyJID(), []byte(xml)); err != nil {
			t.Error(err)
		}
	}

	var given [n]atomic.Int64 // when the answer was given, in unix nanoseconds
	var right, timeouts, crossed atomic.Int32
	var added latencies
	var wg sync.WaitGroup
	ctx, giveUp := context.WithCancelCause(context.Background()) // in place of a timeout, which a slow machine might reach too early
	defer giveUp(nil)
	for i := range n {
		wg.Go(func() {
			to := xmpp.MustParseJID(fmt.Sprintf("u%d@other.test/r", i%100))
			answer, err := s.SendIQ(ctx, inquiry(to, fmt.Sprint(i)))
			switch {
			case errors.Is(err, errByTest):
				timeouts.Add(1)
			case err != nil:
				t.Errorf("SendIQ returned %v", err)
			case stanza.Text(answer.Payload()) != fmt.Sprint(i) || answer.From() != to:
				crossed.Add(1)
			default:
				right.Add(1)
				added.add(time.Duration(time.Now().UnixNano() - given[i].Load()))
			}
		})
	}
	all := make([]asked, 0, n)
	for range n {
		all = append(all, soon(t, requests, 20*time.Second, "the requests"))
	}
	pause, limit := 2*time.Millisecond, 20*time.Millisecond // 25,000 answers a second
	if raceEnabled {
		pause, limit = 5*pause, 50*limit
	}
	rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	for k, a := range all {
		var i int
		_, _ = fmt.Sscan(a.text, &i)
		xml := a.answer(a.to)
		switch k % 100 {
		case 0:
			xml = "" // never
		case 1:
			xml += xml
		case 2:
			xml = a.answer("mallory@other.test/r") + "<iq type='result' id='" + a.id + "'/>" + xml
		}
		given[i].Store(time.Now().UnixNano())
		if xml != "" {
			raw(xml)
		}
		if k%50 == 0 {
			time.Sleep(pause)
		}
	}
	for end := time.Now().Add(20 * time.Second); right.Load()+crossed.Load() < n*99/100 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	giveUp(errByTest)
	wg.Wait()
	p99 := added.quantile(0.99)
	t.Logf("%d right, %d timeouts, %d crossed; added latency p50 %v, p99 %v, worst %v", right.Load(), timeouts.Load(), crossed.Load(), added.quantile(0.5), p99, added.quantile(1))
	if right.Load() != n*99/100 || timeouts.Load() != n/100 || crossed.Load() != 0 {
		t.Error("not every request ended as it should")
	}
	if p99 > limit {
		t.Errorf("p99 of the added latency is %v", p99)
	}
	st := s.Stats()
	if st.Forged != 2*n/100 || st.Unsolicited != n/100 {
		t.Errorf("%d forged and %d unsolicited answers were counted", st.Forged, st.Unsolicited)
	}
	// Nothing is left in the table: whoever answers now answers nothing that is open.
	var b strings.Builder
	for _, a := range all {
		b.WriteString(a.answer("mallory@other.test/r"))
	}
	raw(b.String())
	for end := time.Now().Add(10 * time.Second); s.Stats().Unsolicited < st.Unsolicited+n && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if now := s.Stats(); now.Unsolicited != st.Unsolicited+n || now.Forged != st.Forged {
		t.Errorf("of %d late answers %d were unsolicited, %d met an open request", n, now.Unsolicited-st.Unsolicited, now.Forged-st.Forged)
	}
}

// TestRel_R30 asks while messages pour in.
func TestRel_R30(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{Handler: func(c *testserver.Session, e *etree.Element) bool {
		if a := e.SelectElement("ask"); e.Tag == "iq" && a != nil {
			_ = c.SendRaw([]byte(asked{id: e.SelectAttrValue("id", ""), text: a.Text()}.answer("example.test")))
			return true
		}
		return false
	}})
	var got atomic.Int64
	s := login(t, configFor(srv, "alice"), onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) { got.Add(1) }))
	rate := 50_000
	if raceEnabled {
		rate = 10_000
	}
	const tick = 5 * time.Millisecond
	batch := []byte(flood(rate / int(time.Second/tick)))
	stop, stopped := make(chan struct{}), make(chan struct{})
	var sent atomic.Int64
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				_ = srv.SendRaw(s.MyJID(), batch)
				sent.Add(int64(rate / int(time.Second/tick)))
			}
		}
	}()
	var took latencies
	began := time.Now()
	for i := 0; time.Since(began) < time.Duration(times(1500, 10_000))*time.Millisecond; i++ {
		start := time.Now()
		answer, err := s.SendIQ(within(t, 5*time.Second), inquiry(xmpp.JID{}, fmt.Sprint(i)))
		if err != nil || stanza.Text(answer.Payload()) != fmt.Sprint(i) {
			t.Fatal(answer, err)
		}
		took.add(time.Since(start))
	}
	seconds := time.Since(began).Seconds()
	close(stop)
	<-stopped
	t.Logf("%d requests in %.1f s beside %.0f messages/s sent and %.0f/s delivered: median %v, p99 %v, worst %v",
		len(took.d), seconds, float64(sent.Load())/seconds, float64(got.Load())/seconds, took.quantile(0.5), took.quantile(0.99), took.quantile(1))
	if p99 := took.quantile(0.99); p99 > 100*time.Millisecond {
		t.Errorf("p99 is %v", p99)
	}
}

// TestRel_R31 answers the second of two requests and never the first.
func TestRel_R31(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() { _, err := s.SendIQ(ctx, inquiry(xmpp.JID{}, "first")); first <- err }()
	expect(t, p, "<iq type='get' id='{a}'><ask xmlns='"+nsAsk+"'>first</ask></iq>")
	for range 100 {
		second := make(chan error, 1)
		go func() { _, err := s.SendIQ(context.Background(), inquiry(xmpp.JID{}, "second")); second <- err }()
		el, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		inject(t, p, "%s", asked{id: el.SelectAttrValue("id", "")}.answer("example.test"))
		if err := soon(t, second, time.Second, "the second answer"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-first:
		t.Errorf("the first request ended with %v", err)
	default:
	}
	cancel()
	if err := soon(t, first, time.Second, "the first"); !errors.Is(err, context.Canceled) {
		t.Errorf("the first request ended with %v", err)
	}
}

// TestSendIQ_Ends goes through all the ways in which a request ends (TRK-01…TRK-06).
func TestSendIQ_Ends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, testserver.Options{})
		open := func(ctx context.Context, s *xmpp.Stream) (result chan error, took *time.Duration) {
			result, took = make(chan error, 1), new(time.Duration)
			go func() {
				start := time.Now()
				_, err := s.SendIQ(ctx, inquiry(xmpp.JID{}, "x"))
				*took = time.Since(start)
				result <- err
			}()
			synctest.Wait()
			return result, took
		}
		s, p := peer(t, srv, configFor(srv, "alice"))
		background := context.Background()

		result, took := open(background, s)
		if err := <-result; !errors.Is(err, xmpp.ErrIQTimeout) || *took != 30*time.Second {
			t.Errorf("without a deadline: %v after %v", err, *took)
		}
		ctx, cancel := context.WithTimeout(background, 5*time.Minute) // longer than the default
		result, took = open(ctx, s)
		if err := <-result; !errors.Is(err, context.DeadlineExceeded) || *took != 5*time.Minute {
			t.Errorf("with a deadline: %v after %v", err, *took)
		}
		cancel()
		ctx, cancel = context.WithCancel(background)
		result, _ = open(ctx, s)
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		// Bulk: the loss of the connection ends them all, with what is to blame for it.
		var gone *xmpp.DisconnectedError
		var many []chan error
		for range 20 {
			result, _ := open(background, s)
			many = append(many, result)
		}
		s.Fail(errByTest)
		for _, result := range many {
			if err := <-result; !errors.As(err, &gone) || !errors.Is(err, errByTest) {
				t.Errorf("at the loss of the connection: %v", err)
			}
		}
		if err := s.Login(background); err != nil {
			t.Fatal(err)
		}
		result, _ = open(background, s)
		s.Disconnect()
		if err := <-result; !errors.As(err, &gone) || gone.Cause != nil {
			t.Errorf("at Disconnect: %v", err)
		}
		if err := s.Login(background); err != nil {
			t.Fatal(err)
		}
		result, _ = open(background, s)
		if err := srv.CloseStream(s.MyJID()); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.As(err, &gone) {
			t.Errorf("at the server's closing tag: %v", err)
		}
		if err := s.Wait(background); err != nil {
			t.Errorf("Wait after the closing tag: %v", err)
		}
		if err := s.Login(background); err != nil {
			t.Fatal(err)
		}
		result, _ = open(background, s)
		if err := s.Close(background); err != nil {
			t.Error(err)
		}
		if err := <-result; !errors.Is(err, xmpp.ErrClosed) {
			t.Errorf("at Close: %v", err)
		}
		_ = p
	})
}

// TestSendIQ checks answers, errors, and what is refused.
func TestSendIQ(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	ctx := within(t, 5*time.Second)
	go func() {
		_ = p.Expect("<iq type='get' id='{id}' to='bob@example.test/x'><ask xmlns='" + nsAsk + "'>1</ask></iq>")
		_ = p.Inject("<iq type='error' id='{id}' from='bob@example.test/x'><ask xmlns='" + nsAsk + "'>1</ask><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no such thing</text></error></iq>")
	}()
	_, err := s.SendIQ(ctx, inquiry(xmpp.MustParseJID("bob@example.test/x"), "1"))
	var se *stanza.Error
	if !errors.As(err, &se) || !errors.Is(err, stanza.ItemNotFound) || se.Text != "no such thing" || se.Stanza == nil || se.Stanza.From().String() != "bob@example.test/x" {
		t.Errorf("an error answer gives %v", err)
	}

	iq := inquiry(xmpp.JID{}, "2")
	iq.SetID("the-id")
	first := make(chan error, 1)
	go func() { _, err := s.SendIQ(ctx, iq); first <- err }()
	expect(t, p, "<iq type='get' id='the-id'><ask xmlns='"+nsAsk+"'>2</ask></iq>")
	if _, err := s.SendIQ(ctx, iq); !errors.Is(err, xmpp.ErrDuplicateID) {
		t.Errorf("a second request with the id gives %v", err)
	}
	inject(t, p, "<iq type='result' id='the-id'/>")
	if err := soon(t, first, time.Second, "the first"); err != nil {
		t.Errorf("the first was disturbed: %v", err)
	}
	for name, bad := range map[string]*stanza.IQ{
		"a result": iq.Result(nil), "an error": iq.Error(stanza.Conflict), "nil": nil, "empty": {},
	} {
		if _, err := s.SendIQ(ctx, bad); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("SendIQ of %s gives %v", name, err)
		}
	}
	if _, err := s.SendIQ(ctx, inquiry(xmpp.JID{}, "\x00")); err == nil {
		t.Error("a character that XML does not allow was sent")
	}
	_ = s.Send(ctx, msg("end", ""))
	expect(t, p, "<message type='chat' id='end' to='bob@example.test'/>") // and nothing of the refused before it

	// CORE-28: who may answer what.
	me, bare, server, bob := s.MyJID(), s.MyJID().Bare(), s.MyJID().DomainJID(), xmpp.MustParseJID("bob@example.test/x")
	for _, c := range []struct {
		to, from xmpp.JID
		valid    bool
	}{
		{xmpp.JID{}, xmpp.JID{}, true}, {xmpp.JID{}, me, true}, {xmpp.JID{}, bare, true}, {xmpp.JID{}, server, true}, {xmpp.JID{}, bob, false},
		{bob, bob, true}, {bob, bob.Bare(), false}, {bob, xmpp.JID{}, false}, {bob, me, false}, {bob, server, false},
		{bare, xmpp.JID{}, true}, {bare, bare, true}, {server, xmpp.JID{}, true}, {server, server, true}, {server, bob, false},
		{me, me, true}, {me, bob, false},
	} {
		if got := s.IsValidResponse(c.from, c.to); got != c.valid {
			t.Errorf("an answer from %q to a request to %q: %v", c.from, c.to, got)
		}
	}
}

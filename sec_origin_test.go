package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// ask sends a request with the id "open" and waits until the server has it. The result comes through the channel.
func ask(t *testing.T, s *xmpp.Stream, p *testserver.Peer, to string) <-chan error {
	t.Helper()
	var j xmpp.JID
	attr := ""
	if to != "" {
		j, attr = xmpp.MustParseJID(to), " to='"+xmpp.MustParseJID(to).String()+"'"
	}
	answer := make(chan error, 1)
	ctx := within(t, 5*time.Second)
	go func() {
		iq, err := s.SendIQ(ctx, withID(stanza.NewIQ(stanza.Get, j, stanza.New("q", "urn:q")), "open"))
		if err == nil && !stanza.Is(iq.Payload(), "true", "urn:q") {
			err = fmt.Errorf("the answer was %s", describe(iq.Element()))
		}
		answer <- err
	}()
	expect(t, p, "<iq type='get' id='open'"+attr+"><q xmlns='urn:q'/></iq>")
	return answer
}

// TestSec_ORG01 answers requests in the name of others: it is dropped and counted, and the true answer still counts.
func TestSec_ORG01(t *testing.T) {
	checkGoroutines(t)
	const me, host = "alice@example.test", "example.test"
	s, p := clearPeer(t, func(c *xmpp.Config) { c.JID = xmpp.MustParseJID(me + "/mine") })
	for _, c := range []struct {
		to    string
		wrong []string // "-" is no from at all
		right []string
	}{
		{"friend@y.test/z", []string{"evil@x.test/y", "friend@y.test", "friend@y.test/Z", "friend@y.test/other", "y.test", host, me, me + "/mine", "-"}, []string{"friend@y.test/z", "FRIEND@Y.test/z"}},
		{"friend@y.test", []string{"friend@y.test/z", "evil@x.test", "-", host, me}, []string{"friend@y.test"}},
		{"y.test", []string{"friend@y.test", "x.test", "-", host, "y.test/r"}, []string{"y.test"}},
		{"", []string{"evil@x.test", "bob@example.test", me + "/other", "sub.example.test", host + "/r"}, []string{"-", me, me + "/mine", host}},
		{me, []string{"evil@x.test", "bob@example.test/mine", me + "/other", "sub.example.test"}, []string{"-", me, me + "/mine", host}},
		{host, []string{"evil@x.test", "bob@example.test", me + "/other"}, []string{"-", host}},
		{me + "/other", []string{"evil@x.test", me, me + "/mine", "-", host}, []string{me + "/other"}},
	} {
		for _, right := range c.right {
			t.Run(fmt.Sprintf("to %q from %q", c.to, right), func(t *testing.T) {
				from := func(j string) string {
					if j == "-" {
						return ""
					}
					return " from='" + j + "'"
				}
				before := s.Stats()
				answer := ask(t, s, p, c.to)
				for _, w := range c.wrong {
					inject(t, p, "<iq type='result' id='open'%s><false xmlns='urn:q'/></iq>", from(w))
					inject(t, p, "<iq type='error' id='open'%s><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", from(w))
				}
				inject(t, p, "<iq type='result' id='open' from='@@'/><iq type='result' id='open' from=''/>")
				inject(t, p, "<iq type='result' id='open'%s><true xmlns='urn:q'/></iq>", from(right))
				if err := soon(t, answer, 5*time.Second, "the answer"); err != nil {
					t.Error(err)
				}
				after := s.Stats()
				if n := int(after.Forged - before.Forged); n != 2*len(c.wrong) || after.Malformed-before.Malformed != 2 {
					t.Errorf("%d counted as forged, %d as malformed, want %d and 2", n, after.Malformed-before.Malformed, 2*len(c.wrong))
				}
			})
		}
	}
}

// TestSec_ORG02 sends something else with the id of an open request.
func TestSec_ORG02(t *testing.T) {
	checkGoroutines(t)
	all := make(chan string, 20)
	s, p := clearPeer(t, nil, received(all))
	answer := ask(t, s, p, "friend@y.test/z")
	from := " id='open' from='friend@y.test/z'"
	for _, c := range []struct{ xml, delivered, answered string }{
		{"<presence type='error'" + from + "/>", "*stanza.Presence", ""},
		{"<presence type='result'" + from + "/>", "*stanza.Presence", ""},
		{"<message type='error'" + from + "/>", "*stanza.Message", ""},
		{"<message type='result'" + from + "/>", "*stanza.Message", ""},
		{"<iq type='get'" + from + "><a xmlns='urn:a'/></iq>", "*stanza.IQ", "service-unavailable"},
		{"<iq type='set'" + from + "><a xmlns='urn:a'/></iq>", "*stanza.IQ", "service-unavailable"},
		{"<iq type='bogus'" + from + "/>", "", ""},
		{"<iq type='Result'" + from + "/>", "", ""},
		{"<iq type=' result'" + from + "/>", "", ""},
		{"<iq" + from + "/>", "", ""},
		{"<iq xmlns='urn:x' type='result'" + from + "/>", "", ""},
	} {
		if strings.Contains(c.xml, "urn:x") {
			continue // ends the stream: TestSec_XML19
		}
		inject(t, p, "%s", c.xml)
		if c.delivered != "" {
			if got := soon(t, all, time.Second, c.xml); !strings.HasPrefix(got, c.delivered) {
				t.Errorf("%s was delivered as %s", c.xml, got)
			}
		}
		if c.answered != "" {
			expect(t, p, "<iq type='error' id='open' to='friend@y.test/z'><error type='cancel'><"+c.answered+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		}
	}
	select {
	case err := <-answer:
		t.Fatalf("the request was completed: %v", err)
	default:
	}
	inject(t, p, "<iq type='result' id='open' from='friend@y.test/z'><true xmlns='urn:q'/></iq>")
	if err := soon(t, answer, 5*time.Second, "the answer"); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Malformed != 4 || st.Forged != 0 {
		t.Errorf("%+v", st)
	}
}

// TestSec_ORG03 answers twice, late, and what nobody asked.
func TestSec_ORG03(t *testing.T) {
	checkGoroutines(t)
	s, p := clearPeer(t, nil)
	const n = 100_000
	answer := ask(t, s, p, "friend@y.test/z")
	one := "<iq type='result' id='open' from='friend@y.test/z'><true xmlns='urn:q'/></iq>"
	var b strings.Builder
	for range n {
		b.WriteString(one)
	}
	inject(t, p, "%s", b.String())
	if err := soon(t, answer, 5*time.Second, "the answer"); err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(20 * time.Second); s.Stats().Unsolicited < n-1 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	if st := s.Stats(); st.Unsolicited != n-1 || st.Forged != 0 {
		t.Errorf("%+v", st)
	}
	var unsolicited atomic.Int32
	s.AddDelegate(xmpp.Delegate{IQ: xmpp.IQFunc(func(context.Context, *xmpp.Stream, *stanza.IQ) bool { unsolicited.Add(1); return true })})
	t.Run("late", func(t *testing.T) {
		_, err := s.SendIQ(within(t, 10*time.Millisecond), withID(stanza.NewIQ(stanza.Get, xmpp.MustParseJID("friend@y.test/z"), stanza.New("q", "urn:q")), "open"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SendIQ returned %v", err)
		}
		expect(t, p, "<iq type='get' id='open' to='friend@y.test/z'><q xmlns='urn:q'/></iq>")
		inject(t, p, "%s", one+"<iq type='error' id='never' from='friend@y.test/z'/>")
		for end := time.Now().Add(5 * time.Second); unsolicited.Load() < 2 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		if st := s.Stats(); st.Unsolicited != n+1 || unsolicited.Load() != 2 {
			t.Errorf("%+v, %d told", st, unsolicited.Load())
		}
		answer := ask(t, s, p, "friend@y.test/z") // the same id again
		select {
		case err := <-answer:
			t.Fatalf("the new request was completed by the late answer: %v", err)
		default:
		}
		inject(t, p, "%s", one)
		if err := soon(t, answer, 5*time.Second, "the answer"); err != nil {
			t.Error(err)
		}
	})
	t.Run("two requests with one id", func(t *testing.T) {
		answer := ask(t, s, p, "friend@y.test/z")
		_, err := s.SendIQ(within(t, time.Second), withID(stanza.NewIQ(stanza.Get, xmpp.MustParseJID("other@y.test/z"), stanza.New("q", "urn:q")), "open"))
		if !errors.Is(err, xmpp.ErrDuplicateID) {
			t.Errorf("SendIQ returned %v", err)
		}
		inject(t, p, "%s", one)
		if err := soon(t, answer, 5*time.Second, "the answer"); err != nil {
			t.Error(err)
		}
	})
}

// TestSec_ORG22 bounces messages that were never sent, and some that were: no receipt and no request changes by it.
func TestSec_ORG22(t *testing.T) {
	checkGoroutines(t)
	var failed atomic.Int32
	all := make(chan string, 10)
	s, p := clearPeer(t, nil, received(all), xmpp.Delegate{NotSent: notSentFunc(func() { failed.Add(1) })})
	m := chat("bob@example.test/x", "hello")
	m.SetID("sent")
	r, err := s.SendReceipt(within(t, time.Second), m)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, p, "<message type='chat' id='sent' to='bob@example.test/x'><body>hello</body></message>")
	answer := ask(t, s, p, "bob@example.test/x")
	for _, from := range []string{"bob@example.test/x", "evil@example.test", "example.test"} {
		for _, id := range []string{"sent", "never", "open"} {
			inject(t, p, "<message type='error' id='%s' from='%s'><body>hello</body><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>", id, from)
			want := fmt.Sprintf("*stanza.Message from %s to  id %q", from, id)
			if got := soon(t, all, time.Second, "the bounce"); !strings.HasPrefix(got, want) || !strings.Contains(got, "gone") {
				t.Errorf("delivered %s, want %s", got, want)
			}
		}
	}
	if st, err := r.Wait(within(t, time.Second)); st != xmpp.ReceiptWritten || err != nil || r.Err() != nil || failed.Load() != 0 {
		t.Errorf("the receipt says %s, %v, %v; %d failures were told", st, err, r.Err(), failed.Load())
	}
	inject(t, p, "<iq type='result' id='open' from='bob@example.test/x'><true xmlns='urn:q'/></iq>")
	if err := soon(t, answer, 5*time.Second, "the answer"); err != nil {
		t.Error(err)
	}
}

type notSentFunc func()

func (f notSentFunc) DidFailToSendIQ(context.Context, *xmpp.Stream, *stanza.IQ, error)           { f() }
func (f notSentFunc) DidFailToSendMessage(context.Context, *xmpp.Stream, *stanza.Message, error) { f() }
func (f notSentFunc) DidFailToSendPresence(context.Context, *xmpp.Stream, *stanza.Presence, error) {
	f()
}

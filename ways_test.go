package xmpp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestWays_Messages sends messages both ways, in order, over every transport, and looks at their receipts.
func TestWays_Messages(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		if _, err := x.alice.SendReceipt(x.ctx(), msg("early", "x")); !errors.As(err, new(*xmpp.DisconnectedError)) {
			t.Errorf("before the login: %v", err)
		}
		x.login()
		want := map[string]string{"STARTTLS": "TCP", "zlib": "TCP", "component": "TCP"}[x.name]
		if want == "" {
			want = x.name
		}
		if sec := x.alice.Security(); sec.Transport != want || sec.TLS == x.component || sec.RoundTrips == 0 {
			t.Errorf("Security says %+v", sec)
		}
		x.works(200)
		r := x.send(x.alice, x.bob, 0)
		if st, err := r.Wait(x.ctx()); st != xmpp.ReceiptWritten || err != nil {
			t.Errorf("the receipt says %v, %v", st, err)
		}
		st := x.alice.Stats()
		if st.StanzasSent < 201 || st.BytesSent < 1000 || st.BytesReceived < 1000 {
			t.Errorf("%+v", st)
		}
		m := stanza.NewMessage(stanza.Chat, x.bob.MyJID(), "<&>'\"]]>  \n\t ünï 🦆 ")
		if err := x.alice.Send(x.ctx(), m); err != nil {
			t.Fatal(err)
		}
		x.inBob.wait(2)
		if got := x.inBob.take(); len(got) != 2 || got[1] != m.Body() {
			t.Errorf("bob got %q", got)
		}
	})
}

// TestWays_IQ: requests to the server, to somebody, and from somebody, with results, errors, and without a handler.
func TestWays_IQ(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		x.login()
		for _, s := range []*xmpp.Stream{x.alice, x.bob} {
			for _, typ := range []stanza.IQType{stanza.Get, stanza.Set} {
				if _, err := s.HandleIQ(typ, "urn:q", "q", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
					if iq.Payload().SelectAttrValue("refuse", "") != "" {
						_ = s.Send(ctx, iq.Error(stanza.NotAllowed, "no"))
						return
					}
					_ = s.Send(ctx, iq.Result(stanza.New("r", "urn:q").T(string(iq.Type())+" "+iq.To().String())))
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		server := x.srv.Domain()
		if _, err := x.alice.SendIQ(x.ctx(), stanza.NewIQ(stanza.Get, server, stanza.New("ping", "urn:xmpp:ping"))); err != nil {
			t.Errorf("ping: %v", err)
		}
		if _, err := x.alice.SendIQ(x.ctx(), stanza.NewIQ(stanza.Get, server, stanza.New("x", "urn:unknown"))); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("an unknown request: %v", err)
		}
		for _, pair := range [][2]*xmpp.Stream{{x.alice, x.bob}, {x.bob, x.alice}} {
			from, to := pair[0], pair[1].MyJID()
			for _, typ := range []stanza.IQType{stanza.Get, stanza.Set} {
				res, err := from.SendIQ(x.ctx(), stanza.NewIQ(typ, to, stanza.New("q", "urn:q")))
				if err != nil || res.Payload().Text() != string(typ)+" "+to.String() || res.From() != to {
					t.Errorf("%s from %v to %v: %v, %v", typ, from.MyJID(), to, res, err)
				}
				if _, err = from.SendIQ(x.ctx(), stanza.NewIQ(typ, to, stanza.New("q", "urn:q").A("refuse", "1"))); !errors.Is(err, stanza.NotAllowed) {
					t.Errorf("%s refused from %v to %v: %v", typ, from.MyJID(), to, err)
				}
			}
			if _, err := from.SendIQ(x.ctx(), stanza.NewIQ(stanza.Get, to, stanza.New("q", "urn:nobody"))); !errors.Is(err, stanza.ServiceUnavailable) {
				t.Errorf("without a handler from %v to %v: %v", from.MyJID(), to, err)
			}
		}
		p := ping.New(ping.Config{})
		if err := p.Activate(x.alice); err != nil {
			t.Fatal(err)
		}
		if x.component { // has no server of its own: its domain is itself
			return
		}
		if _, err := p.SendPingToServer(x.ctx()); err != nil {
			t.Errorf("modules/ping: %v", err)
		}
	})
}

// TestWays_Presence sends presence to one another, without a subscription.
func TestWays_Presence(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		got := make(chan string, 10)
		note := func(s *xmpp.Stream) {
			s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
				if p.From() != s.MyJID() {
					got <- string(p.Type()) + " " + p.From().String() + " " + p.Status()
				}
			})})
		}
		note(x.bob)
		note(x.alice)
		x.login()
		for _, pair := range [][2]*xmpp.Stream{{x.alice, x.bob}, {x.bob, x.alice}} {
			for _, typ := range []stanza.PresenceType{stanza.Available, stanza.Unavailable} {
				p := stanza.NewPresence(typ, pair[1].MyJID())
				p.SetStatus("hello")
				if err := pair[0].Send(x.ctx(), p); err != nil {
					t.Fatal(err)
				}
				if g, want := soon(t, got, time.Minute, "presence"), string(typ)+" "+pair[0].MyJID().String()+" hello"; g != want {
					t.Errorf("got %q, want %q", g, want)
				}
			}
		}
	})
}

// TestWays_Ends: all polite ends, from either side, and after each of them everything works again.
func TestWays_Ends(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		x.login()
		x.closeStream()
		if err := x.ended(); err != nil {
			t.Errorf("after the server's end DidDisconnect got %v", err)
		}
		x.login()
		x.works(5)
		x.streamError("system-shutdown")
		var se *xmpp.StreamError
		if err := x.ended(); !errors.As(err, &se) || se.Condition != "system-shutdown" || se.Local {
			t.Errorf("after an error of the stream DidDisconnect got %v", err)
		}
		x.login()
		x.works(5)
		x.alice.Disconnect()
		if err := x.ended(); err != nil {
			t.Errorf("after Disconnect DidDisconnect got %v", err)
		}
		synctest.Wait()
		if x.there() != x.bosh { // which has no connection whose end tells the server
			t.Errorf("after Disconnect the session is there: %t", x.there())
		}
		x.login()
		x.works(5)
		time.Sleep(2 * time.Minute) // as long as that session is kept
		r := x.send(x.alice, x.bob, 0)
		start := time.Now()
		if err := x.alice.Close(x.ctx()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		if err := x.ended(); err != nil {
			t.Errorf("after Close DidDisconnect got %v", err)
		}
		if st, err := r.Wait(x.ctx()); st != xmpp.ReceiptWritten || err != nil {
			t.Errorf("what was sent before Close: %v, %v", st, err)
		}
		synctest.Wait()
		if got := x.inBob.take(); len(got) != 1 {
			t.Errorf("bob got %q", got)
		}
		if x.there() {
			t.Error("the server still has the session")
		}
		if err := x.alice.Login(x.ctx()); !errors.Is(err, xmpp.ErrClosed) {
			t.Errorf("Login after Close: %v", err)
		}
	})
}

// TestWays_KeepAlive leaves the stream alone for hours: it shows the server that it is there, and notices nothing wrong.
func TestWays_KeepAlive(t *testing.T) {
	checkGoroutines(t)
	eachWay(t, func(t *testing.T, x *wayTest) {
		x.login()
		synctest.Wait()
		before := x.alice.Stats()
		time.Sleep(3 * time.Hour)
		after := x.alice.Stats()
		if n := after.BytesSent - before.BytesSent; (n < 80) != x.bosh || n > 100_000 { // of BOSH only what is inside of requests counts
			t.Errorf("%d bytes were sent in three hours of silence", n)
		}
		if after.StanzasSent != before.StanzasSent || !x.alice.IsAuthenticated() {
			t.Errorf("%+v, %v", after, x.alice.State())
		}
		x.works(5)
	})
}

// TestWays_Limits: the server says how large stanzas may be (XEP-0478), and the client that those it takes may not be larger.
func TestWays_Limits(t *testing.T) {
	checkGoroutines(t)
	for _, w := range waysIn {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w.config = func(config func(*xmpp.Config)) func(*xmpp.Config) {
					return func(c *xmpp.Config) { config(c); c.MaxStanzaBytes = 20_000 }
				}(w.config)
				x := newWayTest(t, w, xmpptest.WithFeatures("<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>10000</max-bytes></limits>"))
				x.login()
				m := stanza.NewMessage(stanza.Chat, x.bob.MyJID(), strings.Repeat("x", 10_000))
				if err := x.alice.Send(x.ctx(), m); !x.component && !errors.Is(err, xmpp.ErrStanzaTooBig) { // a component has no features
					t.Errorf("a stanza that is too large: %v", err)
				}
				synctest.Wait()
				x.inBob.take()
				x.works(5)
				x.say("<message from='bob@example.test/x'><body>%s</body></message>", strings.Repeat("x", 15_000))
				x.inAlice.wait(1)
				if got := x.inAlice.take(); len(got) != 1 || len(got[0]) != 15_000 {
					t.Errorf("alice got %d messages", len(got))
				}
				x.say("<message from='bob@example.test/x'><body>%s</body></message>", strings.Repeat("x", 30_000))
				var se *xmpp.StreamError
				if err := x.ended(); !errors.As(err, &se) || !se.Local || se.Condition != "policy-violation" {
					t.Errorf("after a stanza that is too large: %v", err)
				}
				if got := x.inAlice.take(); len(got) != 0 {
					t.Errorf("alice got %d messages", len(got))
				}
				x.login()
				x.works(5)
			})
		})
	}
}

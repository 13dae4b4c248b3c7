package receipts_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/receipts"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const asked = "<message to='romeo@example.test' type='chat' id='1'><body>hi</body>" + request + "</message>"

// TestDelivery is XEP-0184 sections 5 and 7 on the wire, with all that follows one message.
func TestDelivery(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		r, s, peer, e := pair(t, receipts.Config{})
		m := message("romeo@example.test", "1")
		d := val(r.Send(t.Context(), m))
		if receipts.HasRequest(m) {
			t.Error("the application's message was changed")
		}
		peer.Expect(asked)
		e.want(t, "sent", "1 written")
		if d.ID() != "1" || d.To() != m.To() || !d.Requested() || d.State() != receipts.Written || d.Err() != nil || !d.By().IsZero() || d.Receipt().State() != xmpp.ReceiptWritten {
			t.Errorf("sent: %s %s %v %v %v %v", d.ID(), d.To(), d.Requested(), d.State(), d.Err(), d.By())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if state, err := d.Wait(ctx); state != receipts.Written || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody answers: %v, %v", state, err)
		}
		peer.While(func() {
			if state, err := d.Wait(t.Context()); state != receipts.Delivered || err != nil {
				t.Errorf("%v, %v", state, err)
			}
		}, "S: <message from='romeo@example.test/orchard' to='{jid}' id='r1'>"+received("1")+"</message>")
		e.want(t, "delivered", "receipt 1 from romeo@example.test/orchard; 1 delivered")
		if d.State() != receipts.Delivered || d.By().String() != "romeo@example.test/orchard" || d.Err() != nil {
			t.Errorf("delivered: %v %v %v", d.State(), d.By(), d.Err())
		}
		<-d.Done()
		peer.Play("S: <message from='romeo@example.test/street' type='chat' id='r2'>" + received("1") + "</message>")
		peer.Play("S: <message from='romeo@example.test' type='error' id='1'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		e.want(t, "another client has it, too", "")
		if d.State() != receipts.Delivered || d.By().Resource() != "orchard" {
			t.Errorf("afterwards: %v %v", d.State(), d.By())
		}
		s.Disconnect()
	})
}

// TestSendOnly: what is sent by Stream.Send is followed as well, whoever asks for the receipt.
func TestSendOnly(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		_, s, peer, e := pair(t, receipts.Config{})
		m := message("romeo@example.test/a", "1")
		must(t, s.Send(t.Context(), m)) // asks for none
		peer.Next()
		receipts.AddRequest(m)
		m.SetID("2")
		must(t, s.Send(t.Context(), m))
		peer.Next()
		own := stanza.NewMessage(stanza.Chat, xmpp.JID{}, "to myself")
		own.SetID("3")
		receipts.AddRequest(own)
		must(t, s.Send(t.Context(), own))
		peer.Next()
		for _, id := range []string{"1", "2"} { // from another client than that it was sent to
			peer.Play("S: <message from='romeo@example.test/b' type='chat'>" + received(id) + "</message>")
		}
		peer.Play("S: <message type='chat'>" + received("3") + "</message>")
		e.want(t, "receipts", "receipt 2 from romeo@example.test/b; receipt 3 from ")
	})
}

// TestFailed: what comes back, and what never goes.
func TestFailed(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		r, s, peer, e := pair(t, receipts.Config{})
		d := val(r.Send(t.Context(), message("romeo@example.test", "1")))
		peer.Expect(asked)
		synctest.Wait()
		peer.Play("S: <message from='romeo@example.test' type='error' id='1'><body>hi</body>" + request + "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		e.want(t, "bounced", "1 written; 1 failed")
		if state, err := d.Wait(t.Context()); state != receipts.Failed || err != nil || !errors.Is(d.Err(), stanza.ItemNotFound) {
			t.Errorf("%v, %v, %v", state, err, d.Err())
		}
		peer.Play("S: <message from='romeo@example.test/a'>" + received("1") + "</message>")
		e.want(t, "a receipt after that", "")

		for _, m := range []*stanza.Message{nil, parse(t, "<message type='groupchat' to='room@x.test' id='1'/>"), parse(t, "<message type='error' to='room@x.test' id='1'/>"), parse(t, "<message to='romeo@x.test' id='1'>"+received("0")+"</message>")} {
			if d, err := r.Send(t.Context(), m); d != nil || !errors.Is(err, xmpp.ErrInvalidParameter) {
				t.Errorf("%v: %v", m, err)
			}
		}
		d = val(r.Send(t.Context(), stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("romeo@example.test"), "hi")))
		if d.ID() == "" {
			t.Error("no id")
		}
		peer.Next()
		s.AddInterceptor(xmpp.Interceptor{WillSendMessage: func(context.Context, *xmpp.Stream, *stanza.Message) *stanza.Message { return nil }})
		if d, err := r.Send(t.Context(), message("romeo@example.test", "2")); d != nil || !errors.Is(err, xmpp.ErrDropped) {
			t.Errorf("dropped: %v", err)
		}
		s.Disconnect()
		_ = s.Wait(t.Context())
		if d, err := r.Send(t.Context(), message("romeo@example.test", "3")); d != nil || err == nil {
			t.Errorf("without a connection: %v", err)
		}
		e.take()
		r.Deactivate()
		if d, err := r.Send(t.Context(), message("romeo@example.test", "4")); d != nil || !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("inactive: %v", err)
		}
		if state, err := d.Wait(t.Context()); err != nil && !errors.Is(err, xmpp.ErrClosed) || state != receipts.Expired || !errors.Is(d.Err(), receipts.ErrExpired) {
			t.Errorf("given up: %v, %v, %v", state, err, d.Err())
		}
	})
}

// TestNotRequested: a client that is known to send no receipts is asked for none.
func TestNotRequested(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		r, s, peer, e := pair(t, receipts.Config{})
		must(t, new(caps).Activate(s))
		d := val(r.Send(t.Context(), message("romeo@example.test/cannot", "1")))
		peer.Expect("<message to='romeo@example.test/cannot' type='chat' id='1'><body>hi</body></message>")
		if state, err := d.Wait(t.Context()); state != receipts.Written || err != nil || d.Requested() {
			t.Errorf("%v, %v, %v", state, err, d.Requested())
		}
		e.want(t, "events", "1 written")
		d = val(r.Send(t.Context(), message("romeo@example.test/can", "2")))
		peer.Next()
		if !d.Requested() {
			t.Error("a client that can was not asked")
		}
	})
}

// sessions is a client with stream management, at a server.
func sessions(t *testing.T, cfg receipts.Config) (*xmpptest.Server, *xmpp.Stream, *receipts.Receipts, *events) {
	t.Helper()
	srv := xmpptest.NewServer(t)
	srv.AddAccount("romeo", "secret")
	s := val(xmpp.New(srv.Config("juliet")))
	t.Cleanup(s.Disconnect)
	r, e := receipts.New(cfg), new(events)
	r.AddDelegate(receipts.Delegate{Receipt: e, Delivery: e}, nil)
	must(t, errors.Join(r.Activate(s), sm.New(sm.Config{ResendOnNewSession: true}).Activate(s), s.Login(t.Context())))
	return srv, s, r, e
}

// TestRel_Sessions: a message is followed over the loss of its connection, of its session, and over sending it again.
func TestRel_Sessions(t *testing.T) {
	for _, how := range []string{"resumed", "a new session"} {
		t.Run(how, func(t *testing.T) {
			checkGoroutines(t)
			synctest.Test(t, func(t *testing.T) {
				srv, s, r, e := sessions(t, receipts.Config{})
				first := val(r.Send(t.Context(), message("romeo@example.test", "1")))
				if state, err := first.Receipt().Wait(t.Context()); state != xmpp.ReceiptAcked || err != nil {
					t.Fatal(state, err)
				}
				e.want(t, "connected", "1 acked")
				srv.Freeze(s.MyJID(), true)
				second := val(r.Send(t.Context(), message("romeo@example.test", "2"))) // the server has lost it
				synctest.Wait()
				s.Fail(errors.New("cut by the test"))
				_ = s.Wait(t.Context())
				third := val(r.Send(t.Context(), message("romeo@example.test", "3")))
				e.want(t, "without a connection", "")
				srv.Freeze(s.MyJID(), false)
				if how != "resumed" {
					srv.ForgetSessions(s.MyJID().Bare())
				}
				waited := make(chan error, 1)
				go func() {
					state, err := third.Wait(t.Context())
					if state != receipts.Delivered {
						err = errors.Join(err, errors.New(state.String()))
					}
					waited <- err
				}()
				must(t, s.Login(t.Context()))
				time.Sleep(time.Second) // it asks the server
				e.want(t, "connected again", "2 acked; 3 acked")

				romeo := val(xmpp.New(srv.Config("romeo")))
				t.Cleanup(romeo.Disconnect)
				must(t, receipts.New(receipts.Config{Answer: true, Allow: func(xmpp.JID) bool { return true }}).Activate(romeo))
				must(t, romeo.Login(t.Context()))
				must(t, <-waited)
				synctest.Wait()
				heard := ""
				for _, d := range []*receipts.Delivery{first, second, third} {
					if d.State() != receipts.Delivered || d.By() != romeo.MyJID() {
						t.Errorf("%s: %v by %v", d.ID(), d.State(), d.By())
					}
					heard += fmt.Sprintf("receipt %s from %s; %s delivered; ", d.ID(), romeo.MyJID(), d.ID())
				}
				e.want(t, "romeo is there", heard[:len(heard)-2])
			})
		})
	}
}

// TestRel_Unknown: the session is over before the server has said that it has the message; the receipt comes on the next one all the same.
func TestRel_Unknown(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithStreamManagement(xmpptest.StreamManagement{NoAcks: true, NoFailedCount: true}))
		srv.AddAccount("romeo", "secret")
		s := val(xmpp.New(srv.Config("juliet")))
		t.Cleanup(s.Disconnect)
		r, e := receipts.New(receipts.Config{}), new(events)
		r.AddDelegate(receipts.Delegate{Receipt: e, Delivery: e}, nil)
		must(t, errors.Join(r.Activate(s), sm.New(sm.Config{AckTimeout: -1, Idle: -1}).Activate(s), s.Login(t.Context())))
		d := val(r.Send(t.Context(), message("romeo@example.test", "1")))
		synctest.Wait()
		s.Fail(errors.New("cut by the test"))
		_ = s.Wait(t.Context())
		srv.ForgetSessions(s.MyJID().Bare())
		must(t, s.Login(t.Context()))
		e.want(t, "a new session", "1 unknown")
		if d.State() != receipts.Unknown || d.Err() != nil {
			t.Errorf("%v, %v", d.State(), d.Err())
		}
		srv.Deliver("<message from='romeo@example.test/a' to='juliet@example.test'>" + received("1") + "</message>")
		e.want(t, "the receipt", "receipt 1 from romeo@example.test/a; 1 delivered")
	})
}

// TestWaitOverSessions: without stream management too, Wait goes on over the loss of the session.
func TestWaitOverSessions(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		srv.AddAccount("romeo", "secret")
		r := receipts.New(receipts.Config{})
		s := srv.Client(t, "juliet")
		must(t, r.Activate(s))
		d := val(r.Send(t.Context(), message("romeo@example.test", "1")))
		type result struct {
			receipts.State
			err error
		}
		results := make(chan result, 2)
		wait := func() {
			state, err := d.Wait(t.Context())
			results <- result{state, err}
		}
		go wait()
		for range 3 {
			synctest.Wait()
			srv.Kill(s.MyJID())
			_ = s.Wait(t.Context())
			time.Sleep(time.Hour)
			must(t, s.Login(t.Context()))
		}
		srv.Deliver("<message from='romeo@example.test/a' to='juliet@example.test'>" + received("1") + "</message>")
		if got := <-results; got.State != receipts.Delivered || got.err != nil {
			t.Errorf("%v", got)
		}
		d = val(r.Send(t.Context(), message("romeo@example.test", "2")))
		go wait()
		synctest.Wait()
		must(t, s.Close(t.Context()))
		if got := <-results; got.State != receipts.Written || !errors.Is(got.err, xmpp.ErrClosed) {
			t.Errorf("closed: %v", got)
		}
		r.Deactivate()
		if state, err := d.Wait(t.Context()); state != receipts.Expired || err != nil {
			t.Errorf("deactivated: %v, %v", state, err)
		}
	})
}

// TestExpiry: too old, too many, sent again.
func TestExpiry(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		r, _, peer, e := pair(t, receipts.Config{MaxPending: 2, MaxAge: time.Hour})
		send := func(id string) *receipts.Delivery {
			t.Helper()
			d := val(r.Send(t.Context(), message("romeo@example.test", id)))
			peer.Next()
			synctest.Wait()
			return d
		}
		old := send("old")
		time.Sleep(30 * time.Minute)
		young := send("young")
		time.Sleep(30 * time.Minute)
		peer.Play("S: <message from='romeo@example.test/a'>" + received("old") + "</message>")
		e.want(t, "after an hour", "old written; young written; old expired")
		third, fourth := send("third"), send("fourth")
		e.want(t, "more than two", "third written; young expired; fourth written")
		again := send("fourth")
		e.want(t, "sent again", "fourth expired; fourth written")
		time.Sleep(time.Hour)
		fifth := send("fifth")
		e.want(t, "all are old", "third expired; fourth expired; fifth written")
		for _, d := range []*receipts.Delivery{old, young, third, fourth, again} {
			if state, err := d.Wait(t.Context()); state != receipts.Expired || err != nil || d.Err() != receipts.ErrExpired {
				t.Errorf("%s: %v %v %v", d.ID(), state, err, d.Err())
			}
		}
		peer.Play("S: <message from='romeo@example.test/a'>" + received("fifth") + "</message>")
		e.want(t, "the youngest", "receipt fifth from romeo@example.test/a; fifth delivered")
		<-fifth.Done()
	})
}

// TestEarly: the receipt is faster than Send.
func TestEarly(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		r, s, peer, e := pair(t, receipts.Config{})
		s.AddInterceptor(xmpp.Interceptor{WillSendMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			peer.Inject("<message from='romeo@example.test/a'>" + received(m.ID()) + "</message>")
			time.Sleep(time.Second)
			return m
		}})
		d := val(r.Send(t.Context(), message("romeo@example.test", "1")))
		peer.Expect(asked)
		e.want(t, "events", "receipt 1 from romeo@example.test/a; 1 delivered")
		if d.State() != receipts.Delivered || d.Receipt() == nil {
			t.Error(d.State())
		}
	})
}

// TestWaitInCallback: a callback may wait for a delivery, on a queue that is full.
func TestWaitInCallback(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		r, s, peer, _ := pair(t, receipts.Config{})
		result := make(chan error, 1)
		begun := false
		s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(ctx context.Context, _ *xmpp.Stream, m *stanza.Message) {
			if begun {
				return
			}
			begun = true
			time.Sleep(time.Second)
			d, err := r.Send(ctx, message("romeo@example.test", "1"))
			if err == nil {
				_, err = d.Wait(ctx)
			}
			result <- err
		})})
		for range 3000 {
			peer.Inject("<message from='romeo@example.test/a'><body>hi</body></message>")
		}
		start := time.Now()
		peer.Expect(asked)
		peer.Inject("<message from='romeo@example.test/a'>" + received("1") + "</message>")
		must(t, <-result)
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// TestWaitInInterceptor: there nobody may wait, but look.
func TestWaitInInterceptor(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		r, s, peer, _ := pair(t, receipts.Config{})
		d := val(r.Send(t.Context(), message("romeo@example.test", "1")))
		peer.Next()
		result := make(chan string, 1)
		s.AddInterceptor(xmpp.Interceptor{WillSendPresence: func(ctx context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
			state, err := d.Wait(ctx)
			result <- fmt.Sprint(state, errors.Is(err, xmpp.ErrInInterceptor))
			return p
		}})
		synctest.Wait()
		for _, want := range []string{"written true", "delivered false"} {
			must(t, s.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})))
			if got := <-result; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			peer.Next()
			peer.Inject("<message from='romeo@example.test/a'>" + received("1") + "</message>")
			synctest.Wait()
		}
	})
}

// TestDeactivate: the module goes and comes while messages are under way. Each of them ends once.
func TestDeactivate(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t)
	s := srv.Client(t, "juliet")
	r, e := receipts.New(receipts.Config{}), new(events)
	r.AddDelegate(receipts.Delegate{Delivery: e}, nil)
	must(t, r.Activate(s))
	ended := 0
	for range 200 {
		done := make(chan *receipts.Delivery)
		go func() {
			d, err := r.Send(t.Context(), message("nobody@example.test", "1"))
			if err != nil && !errors.Is(err, xmpp.ErrInvalidState) {
				t.Error(err)
			}
			done <- d
		}()
		if ended%2 == 0 {
			runtime.Gosched()
		}
		r.Deactivate()
		must(t, r.Activate(s))
		if d := <-done; d != nil {
			r.Deactivate()
			<-d.Done() // bounced, or given up
			must(t, r.Activate(s))
			ended++
		}
	}
	r.Deactivate()
	must(t, s.Close(t.Context()))
	if n := strings.Count(e.take(), "expired"); n > ended || ended == 0 {
		t.Errorf("%d of %d given up", n, ended)
	}
}

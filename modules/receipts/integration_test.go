package receipts_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/receipts"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

// messages are those that were sent.
type messages chan *stanza.Message

func (messages) DidSendIQ(context.Context, *xmpp.Stream, *stanza.IQ)             {}
func (messages) DidSendPresence(context.Context, *xmpp.Stream, *stanza.Presence) {}
func (c messages) DidSendMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	c <- m
}

// TestIntegration follows messages through a real server: to somebody who is there, to somebody who comes later,
// over a resumption, and with a receipt that comes while the sender is away.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		r := receipts.New(receipts.Config{})
		juliet := srv.Client(t, func(s *xmpp.Stream) { must(t, errors.Join(r.Activate(s), sm.New(sm.Config{}).Activate(s))) })
		answers := receipts.New(receipts.Config{Answer: true, Allow: func(from xmpp.JID) bool { return from.Bare() == juliet.MyJID().Bare() }})
		sent := make(messages, 100)
		romeo := srv.Client(t, func(s *xmpp.Stream) {
			must(t, answers.Activate(s))
			s.AddDelegate(xmpp.Delegate{Sent: sent})
		})
		to := romeo.MyJID()
		arrives := func(what string, d *receipts.Delivery) {
			t.Helper()
			if state, err := d.Wait(ctx); state != receipts.Delivered || err != nil || d.By() != romeo.MyJID() {
				t.Errorf("%s: %v, %v, %v, by %v", what, state, err, d.Err(), d.By())
			}
		}
		send := func(to xmpp.JID) *receipts.Delivery {
			t.Helper()
			return val(r.Send(ctx, stanza.NewMessage(stanza.Chat, to, "hi")))
		}
		acked := func(d *receipts.Delivery) {
			t.Helper()
			if state, err := d.Receipt().Wait(ctx); state != xmpp.ReceiptAcked || err != nil {
				t.Fatal(state, err)
			}
		}
		arrives("to the account", send(to.Bare()))
		arrives("to the client", send(to))

		juliet.Fail(errors.New("cut by the test"))
		_ = juliet.Wait(ctx)
		d := send(to.Bare())
		must(t, juliet.Login(ctx))
		arrives("sent without a connection", d)

		// leave returns when the server knows that the client is gone.
		leave := func(s *xmpp.Stream) {
			t.Helper()
			s.Disconnect()
			_ = s.Wait(ctx)
			for noticed := false; !noticed && ctx.Err() == nil; {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				_, err := juliet.SendIQ(ctx, stanza.NewIQ(stanza.Get, s.MyJID(), stanza.New("ping", "urn:xmpp:ping")))
				var answer *stanza.Error
				noticed = errors.As(err, &answer)
				cancel()
			}
		}
		leave(romeo)
		early := send(to.Bare())
		acked(early)
		if state := early.State(); state > receipts.Acked {
			t.Errorf("nobody is there: %v", state)
		}
		must(t, romeo.Login(ctx))
		arrives("kept by the server", early)

		leave(romeo)
		mercutio := srv.Client(t, func(s *xmpp.Stream) {
			r = receipts.New(receipts.Config{})
			must(t, r.Activate(s))
		})
		answers.Configure(receipts.Config{Answer: true, Allow: func(xmpp.JID) bool { return true }})
		d = send(to.Bare())
		_, err := mercutio.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster"))) // it has the message then
		must(t, err)
		leave(mercutio)
		must(t, romeo.Login(ctx))
		for written := false; !written; {
			select {
			case m := <-sent:
				written = receipts.ResponseID(m) == d.ID()
			case <-ctx.Done():
				t.Fatal("no receipt was sent")
			}
		}
		_, err = romeo.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster")))
		must(t, err)
		must(t, mercutio.Login(ctx))
		arrives("a receipt that was kept", d)
	})
}

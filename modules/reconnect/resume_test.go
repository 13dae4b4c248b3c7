package reconnect_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestResumed: with modules/sm the session goes on where the server knows it: nothing is lost, and no presence is sent again.
// Where it does not, there is a new one, and where the module gives up, what was not acknowledged is told with the reason.
func TestResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, reconnect.Config{}, nil)
		if err := sm.New(sm.Config{}).Activate(g.s); err != nil {
			t.Fatal(err)
		}
		romeo, got, sent := g.srv.Client(t, "romeo"), new(events), new(events)
		romeo.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got.note(m.Body(), nil) })})
		g.s.AddDelegate(xmpp.Delegate{Sent: presences{sent}})
		g.login(t)
		sent.want(t, "presence")
		for i := range 10 {
			if i == 5 {
				g.srv.ForgetSessions(g.s.MyJID())
			}
			g.lose()
			if err := g.s.Send(t.Context(), stanza.NewMessage(stanza.Chat, g.srv.JID("romeo"), fmt.Sprint(i))); err != nil && i != 5 {
				t.Error(err)
			}
			time.Sleep(11 * time.Second)
			g.up(t)
			if i != 5 {
				g.e.want(t, "lost try1 resumed")
				got.want(t, fmt.Sprint(i))
				sent.want(t, "")
				continue
			}
			g.e.want(t, "lost try1 new")
			sent.want(t, "presence")
			got.take()
		}
		g.srv.Refuse(true)
		g.lose()
		synctest.Wait()
		receipt, err := g.s.SendReceipt(t.Context(), stanza.NewMessage(stanza.Chat, g.srv.JID("romeo"), "last"))
		if err != nil {
			t.Fatal(err)
		}
		if err := g.r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if receipt.State() != xmpp.ReceiptNotDelivered || !errors.Is(receipt.Err(), reconnect.ErrStopped) {
			t.Errorf("the last receipt: %v, %v", receipt.State(), receipt.Err())
		}
	})
}

// TestRel_R10_Late: the server has resumed the session, and says so too late: one of the two logins is left, and it is not fatal that the other was replaced.
func TestRel_R10_Late(t *testing.T) {
	for _, step := range []xmpptest.Step{xmpptest.StepSuccess, xmpptest.StepSessionFeatures, xmpptest.StepResume} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, reconnect.Config{AttemptTimeout: 5 * time.Second}, nil)
				if err := sm.New(sm.Config{}).Activate(g.s); err != nil {
					t.Fatal(err)
				}
				g.login(t)
				jid := g.s.MyJID()
				for range 5 {
					g.srv.CutAt(step, 2, xmpptest.CutSilence)
					g.lose()
					time.Sleep(time.Minute)
					g.up(t)
				}
				if g.s.MyJID() != jid {
					t.Error("the session was not resumed")
				}
			})
		})
	}
}

type presences struct{ e *events }

func (presences) DidSendIQ(context.Context, *xmpp.Stream, *stanza.IQ)           {}
func (presences) DidSendMessage(context.Context, *xmpp.Stream, *stanza.Message) {}
func (p presences) DidSendPresence(context.Context, *xmpp.Stream, *stanza.Presence) {
	p.e.note("presence", nil)
}

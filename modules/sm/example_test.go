package sm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// teller says what becomes of the session.
type teller struct{}

func (teller) StreamManagementDidResume(context.Context, *sm.SM, []xmpp.Unacked) {
	fmt.Println("resumed")
}
func (teller) StreamManagementDidNotResume(_ context.Context, _ *sm.SM, err error) {
	fmt.Println("a new session:", err)
}
func (teller) StreamManagementDidEnd(_ context.Context, _ *sm.SM, unsettled []xmpp.Unacked, _ error) {
	fmt.Println("over,", len(unsettled), "stanzas were not acknowledged")
}

// A message that is sent while there is no connection arrives all the same: the session is held, and resumed by the next login.
// The server runs inside the program; on a real one, Config needs JID and Credentials only, and modules/reconnect does the logging in.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	s, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	m := sm.New(sm.Config{})
	m.AddDelegate(sm.Delegate{Resume: teller{}, End: teller{}}, nil)
	if err := errors.Join(m.Activate(s), s.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	s.Fail(errors.New("the cable was pulled"))
	_ = s.Wait(ctx)

	receipt, err := s.SendReceipt(ctx, stanza.NewMessage(stanza.Chat, s.MyJID().Bare(), "Wherefore art thou?"))
	if err := errors.Join(err, s.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(receipt.Wait(ctx))
	fmt.Println(s.Close(ctx))
	// Unordered output:
	// resumed
	// acked <nil>
	// over, 0 stanzas were not acknowledged
	// <nil>
}

// A bot that may be killed at any time: the next start goes on with the session of the one before, and nothing is lost in between.
func ExampleFileStorage() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "sm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	start := func() (*xmpp.Stream, *sm.SM) {
		s, err := xmpp.New(srv.Config("juliet"))
		if err != nil {
			panic(err)
		}
		m := sm.New(sm.Config{Storage: sm.FileStorage(dir), HandledBy: sm.HandledReturned})
		if err := errors.Join(m.Activate(s), s.Login(ctx)); err != nil {
			panic(err)
		}
		return s, m
	}
	first, m := start()
	address := first.MyJID()
	_ = m.Suspend(ctx) // or the power fails

	second, m := start()
	fmt.Println(second.MyJID() == address, m.Stats().Resumed)
	fmt.Println(second.Close(ctx))
	// Output:
	// true 1
	// <nil>
}

// An application that writes messages to a database before they count as received.
func ExampleSM_MarkHandled() {
	m := sm.New(sm.Config{HandledBy: sm.HandledMarked})
	save := func(*stanza.Message) error { return nil }
	_ = xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, msg *stanza.Message) {
		go func() {
			if save(msg) == nil {
				m.MarkHandled(msg) // else the server sends it again
			}
		}()
	})}
	fmt.Println(m.Enabled())
	// Output: false
}

// WaitAcked makes sure that the server has everything.
func ExampleSM_WaitAcked() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := xmpp.New(srv.Config("juliet"))
	m := sm.New(sm.Config{})
	if err := errors.Join(err, m.Activate(s), s.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	for range 10 {
		_ = s.Send(ctx, stanza.NewMessage(stanza.Chat, s.MyJID().Bare(), "O Romeo"))
	}
	fmt.Println(m.WaitAcked(ctx), m.Stats().Unacked)
	fmt.Println(s.Close(ctx))
	// Output:
	// <nil> 0
	// <nil>
}

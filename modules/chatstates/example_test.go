package chatstates_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/chatstates"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// window is what a chat window shows about the other side.
type window struct{ changed chan chatstates.State }

func (w window) ChatStateDidChange(_ context.Context, _ *chatstates.ChatStates, from xmpp.JID, _ string, state chatstates.State) {
	fmt.Println(from.Bare(), "is", state)
	w.changed <- state
}

// Two who write to each other, and see when the other one is typing.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	var streams [2]*xmpp.Stream
	var states [2]*chatstates.ChatStates
	w := window{make(chan chatstates.State)}
	for i, user := range []string{"romeo", "juliet"} {
		s, err := xmpp.New(srv.Config(user))
		if err != nil {
			fmt.Println(err)
			return
		}
		streams[i], states[i] = s, chatstates.New(chatstates.Config{})
		states[i].AddDelegate(w, nil)
		if err := errors.Join(states[i].Activate(s), s.Login(ctx)); err != nil {
			fmt.Println(err)
			return
		}
	}
	romeo, juliet := srv.JID("romeo"), streams[1].MyJID()

	err := streams[0].Send(ctx, stanza.NewMessage(stanza.Chat, juliet, "I take thee at thy word"))
	<-w.changed
	for range "What man art thou" { // each key
		err = errors.Join(err, states[1].Composing(ctx, romeo))
	}
	<-w.changed
	err = errors.Join(err, streams[1].Send(ctx, stanza.NewMessage(stanza.Chat, romeo, "What man art thou")))
	<-w.changed
	fmt.Println(errors.Join(err, streams[0].Close(ctx), streams[1].Close(ctx)))
	// Output:
	// romeo@example.test is active
	// juliet@example.test is composing
	// juliet@example.test is active
	// <nil>
}

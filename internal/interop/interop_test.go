package interop

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/stanza"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// each runs f with each program, at Prosody.
func each(t *testing.T, f func(t *testing.T, srv *integration.Server, p Program)) {
	t.Helper()
	srv := integration.Shared(t, integration.Prosody)
	for _, p := range Programs {
		t.Run(string(p), func(t *testing.T) { f(t, srv, p) })
	}
}

// next waits for a value.
func next[T any](t *testing.T, what string, c <-chan T, ok func(T) bool) T {
	t.Helper()
	deadline := time.After(wait)
	for {
		select {
		case v := <-c:
			if ok(v) {
				return v
			}
		case <-deadline:
			t.Fatalf("no %s", what)
		}
	}
}

// TestMessages: a message each way, with what must be escaped.
func TestMessages(t *testing.T) {
	const body = "a <b> & \"c\" 'd' 😀 é"
	each(t, func(t *testing.T, srv *integration.Server, p Program) {
		got := make(chan *stanza.Message, 10)
		ours := srv.Client(t, func(s *xmpp.Stream) {
			s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- m })})
		})
		theirs := Start(t, srv, p)
		theirs.Do("message", map[string]any{"to": ours.MyJID().String(), "body": body, "id": "m1"})
		m := next(t, "message", got, (*stanza.Message).IsChatWithBody)
		if m.Body() != body || m.ID() != "m1" || m.From() != theirs.JID {
			t.Errorf("got %q, id %q, from %v", m.Body(), m.ID(), m.From())
		}
		if err := ours.Send(t.Context(), m.Reply(body)); err != nil {
			t.Fatal(err)
		}
		theirs.Expect("message", map[string]string{"from": ours.MyJID().String(), "type": "chat", "body": body})
	})
}

package clients

import (
	"context"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/lean"
)

const few = 25

func start(t *testing.T) *lean.Server {
	t.Helper()
	s, err := lean.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func login(ctx context.Context, t *testing.T, l Library, s *lean.Server, user string, in *Inbox) Client {
	t.Helper()
	c, err := l.Login(ctx, Account{
		Addr: s.Addr, Domain: lean.Domain, User: user, Password: lean.Password, Resource: "bench", CAFile: s.CAFile,
	}, in)
	if err != nil {
		t.Fatalf("login as %s: %v", user, err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// drivers are the libraries, and the user that each sends and receives as.
func drivers(plain, managed string) map[string]struct {
	Library
	user string
} {
	list := make(map[string]struct {
		Library
		user string
	})
	for _, l := range append(All(), Others()...) {
		user := plain
		if l.Managed {
			user = managed
		}
		list[l.Name] = struct {
			Library
			user string
		}{l, user}
	}
	return list
}

// A measurement with an adapter that sends or receives something else than the others measures nothing.
func TestSend(t *testing.T) {
	for name, l := range drivers(lean.UserSink, lean.UserManagedSink) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			s := start(t)
			s.Count(few)
			c := login(ctx, t, l.Library, s, l.user, nil)
			err := c.Send(ctx, "romeo@"+lean.Domain+"/orchard",
				Messages(few, func(i int) string { return lean.Body("tag", i) }))
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Wait(ctx)
			if err != nil || got.Count != few {
				t.Errorf("the sink got %d messages (%v), want %d", got.Count, err, few)
			}
		})
	}
}

func TestReceive(t *testing.T) {
	for name, l := range drivers(lean.UserSource, lean.UserManagedSource) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			s := start(t)
			in := NewInbox("tag", few)
			login(ctx, t, l.Library, s, l.user, in)
			for _, tag := range []string{"other", "tag"} {
				if _, err := s.Pour(ctx, few, tag); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case <-in.Full():
			case <-ctx.Done():
				t.Errorf("%d of %d messages missing", in.Left(), few)
			}
		})
	}
}

// What the managed rows measure is stream management: the server counts, and so does the client.
func TestManaged(t *testing.T) {
	for _, l := range []Library{Managed, ManagedControl} {
		t.Run(l.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			s := start(t)
			c := login(ctx, t, l, s, lean.UserManagedSink, nil)
			if err := c.Send(ctx, "romeo@"+lean.Domain+"/orchard", Messages(few, func(i int) string { return lean.Body("tag", i) })); err != nil {
				t.Fatal(err)
			}
			in := NewInbox("tag", few)
			login(ctx, t, l, s, lean.UserManagedSource, in)
			if _, err := s.Pour(ctx, few, "tag"); err != nil {
				t.Fatal(err)
			}
			// The presence that the sender sent is counted, too.
			if sent, handled, err := s.Acks(ctx); err != nil || sent != few+1 || handled != few {
				t.Errorf("the server has acknowledged %d of %d, the client %d of %d (%v)", sent, few+1, handled, few, err)
			}
		})
	}
}

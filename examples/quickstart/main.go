// Quickstart logs in twice and shows what a client does: security, presence, messages both ways,
// a question with its answer, and a clean end.
//
// Without flags it starts a server of its own inside the program. With -jid it uses an account on a real server;
// the password is read from XMPP_PASSWORD, or asked for. -transport chooses the way: TCP, WebSocket or BOSH.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/examples/internal/account"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
)

func main() {
	var acct account.Flags
	acct.Register(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		fail(fmt.Errorf("unexpected argument %q: the account goes into -jid", flag.Arg(0)))
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	first, second, srv, err := acct.Two()
	if err != nil {
		fail(err)
	}
	if srv != nil {
		defer srv.Close()
		fmt.Printf("A server for %s runs inside this program, at %s. Try a real one with -jid user@domain.\n\n", srv.Domain(), srv.Addr())
	} else {
		fmt.Printf("Logging in to %s twice, as two resources of one account.\n\n", first.JID.Domain())
	}
	if err := run(ctx, first, second); err != nil {
		fail(err)
	}
}

// client is a logged-in stream and what it has received.
type client struct {
	*xmpp.Stream
	ping     *ping.Ping
	name     string
	messages chan *stanza.Message
	presence chan *stanza.Presence
}

func (c *client) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	c.messages <- m
}

func (c *client) DidReceivePresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
	select {
	case c.presence <- p:
	default: // more than anybody here looks at
	}
}

// login connects, shows what protects the connection, and sends presence.
func login(ctx context.Context, cfg xmpp.Config) (*client, error) {
	c := &client{messages: make(chan *stanza.Message, 100), presence: make(chan *stanza.Presence, 100), ping: ping.New(ping.Config{})}
	var err error
	if c.Stream, err = xmpp.New(cfg); err != nil {
		return nil, err
	}
	c.AddDelegate(xmpp.DelegateOf(c))
	if err := c.ping.Activate(c.Stream); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := c.Login(ctx); err != nil {
		return nil, err
	}
	c.name = c.MyJID().Local()
	fmt.Printf("%-8s logged in as %s in %v\n", c.name, c.MyJID(), time.Since(start).Round(time.Millisecond))
	sec := c.Security()
	fmt.Printf("%-8s protected by %s; over %s, in %d round trips\n", c.name, sec, sec.Transport, sec.RoundTrips)
	return c, nil
}

func run(ctx context.Context, first, second xmpp.Config) error {
	a, err := login(ctx, first)
	if err != nil {
		return err
	}
	b, err := login(ctx, second)
	if err != nil {
		return err
	}
	if a.name == b.name {
		a.name, b.name = a.name+"#1", b.name+"#2"
	}

	fmt.Println()
	if err := showPresence(ctx, a, b); err != nil {
		return err
	}
	for _, talk := range []struct {
		from, to *client
		body     string
	}{{a, b, "O Romeo, Romeo! wherefore art thou Romeo?"}, {b, a, "I take thee at thy word."}} {
		if err := showMessage(ctx, talk.from, talk.to, talk.body); err != nil {
			return err
		}
	}
	for _, q := range []struct {
		what string
		to   xmpp.JID
	}{{"the server", xmpp.JID{}}, {b.name, b.MyJID()}} {
		rtt, err := a.ping.SendPingToJID(ctx, q.to)
		if err != nil {
			return err
		}
		fmt.Printf("%-8s asked %s whether it is there, and got the answer in %v\n", a.name, q.what, rtt.Round(time.Microsecond))
	}

	fmt.Println()
	for _, c := range []*client{a, b} {
		if err := c.Close(ctx); err != nil {
			return err
		}
		st := c.Stats()
		fmt.Printf("%-8s closed: %d bytes out, %d bytes in\n", c.name, st.BytesSent, st.BytesReceived)
	}
	return nil
}

// showPresence sends presence from a straight to b.
func showPresence(ctx context.Context, a, b *client) error {
	p := stanza.NewPresence(stanza.Available, b.MyJID())
	p.SetShow(stanza.ShowChat)
	p.SetStatus("on the balcony")
	if err := a.Send(ctx, p); err != nil {
		return err
	}
	for {
		select {
		case got := <-b.presence:
			if got.From() == a.MyJID() && got.Status() != "" {
				fmt.Printf("%-8s sees %s: %s, %q\n", b.name, a.name, got.Show(), got.Status())
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting for presence: %w", context.Cause(ctx))
		}
	}
}

// showMessage sends a message and waits until the other side has it.
func showMessage(ctx context.Context, from, to *client, body string) error {
	start := time.Now()
	if err := from.Send(ctx, stanza.NewMessage(stanza.Chat, to.MyJID(), body)); err != nil {
		return err
	}
	for {
		select {
		case m := <-to.messages:
			if m.From() == from.MyJID() && m.Body() == body {
				fmt.Printf("%-8s got from %s in %v: %q\n", to.name, from.name, time.Since(start).Round(time.Microsecond), m.Body())
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting for a message: %w", context.Cause(ctx))
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "quickstart:", err)
	os.Exit(1)
}

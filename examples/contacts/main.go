// Contacts shows the contacts of an account: who is there, in which mood, with which avatar; it changes as they do, and survives
// a lost connection. Who asks to see the account's presence can be let in, and others can be asked for theirs: type help.
//
// Without flags it starts a server of its own inside the program, with some people who keep the list busy. With -jid it uses an
// account on a real server; the password is read from XMPP_PASSWORD, or asked for.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/examples/internal/account"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func main() {
	var acct account.Flags
	acct.Register(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &acct, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "contacts:", err)
		os.Exit(1)
	}
}

// client is a stream with the modules of a list of contacts.
type client struct {
	*xmpp.Stream
	roster *roster.Roster
	avatar *avatar.Avatar
}

// newClient makes a client that is not connected.
func newClient(cfg xmpp.Config) (*client, error) {
	s, err := xmpp.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &client{s, roster.New(roster.Config{}), avatar.New(avatar.Config{})}
	return c, errors.Join(
		sm.New(sm.Config{}).Activate(s), reconnect.New(reconnect.Config{}).Activate(s), // a lost connection is made again
		disco.New(disco.Config{}).Activate(s), caps.New(caps.Config{}).Activate(s), // others are told what this client can do, and tell their avatars
		c.roster.Activate(s),
		pubsub.New(pubsub.Config{}).Activate(s), vcard.New(vcard.Config{}).Activate(s), c.avatar.Activate(s),
	)
}

// run shows the contacts, and does what is typed, until "quit". At the end of the input a list that others keep busy goes on.
func run(ctx context.Context, acct *account.Flags, in io.Reader, out io.Writer) error {
	cfg, _, srv, err := acct.Two()
	if err != nil {
		return err
	}
	if srv != nil {
		defer srv.Close()
		prepare(srv)
		fmt.Fprintf(out, "A server for %s runs inside this program. Try a real one with -jid user@domain.\n\n", srv.Domain())
	}
	c, err := newClient(cfg)
	if err != nil {
		return err
	}
	v := newView(c, out)
	if err := c.Login(ctx); err != nil {
		return err
	}
	if err := c.roster.Wait(ctx); err != nil {
		return err
	}
	v.list()
	v.loop(ctx, in, srv)
	return c.Close(context.WithoutCancel(ctx))
}

// loop does what is typed. srv is the server inside the program, with the others, if there is one.
func (v *view) loop(ctx context.Context, in io.Reader, srv *xmpptest.Server) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed, played := lines(ctx, in), make(chan string)
	if srv != nil {
		done := make(chan struct{})
		defer func() { cancel(); <-done }()
		go func() {
			defer close(done)
			defer close(played)
			if err := play(ctx, srv, v.client, played); err != nil && ctx.Err() == nil {
				v.say("! the others: %v", err)
			}
		}()
	}
	for typed != nil || srv == nil || played != nil {
		var line string
		var ok bool
		select {
		case line, ok = <-typed:
			if !ok {
				typed = nil
			}
		case line, ok = <-played:
			if !ok {
				played = nil
			} else {
				v.say("> %s", line)
			}
		case <-ctx.Done():
			return
		}
		if ok && !v.do(ctx, line) {
			return
		}
	}
}

// lines reads lines until the end of the input. A reader that never returns is left behind.
func lines(ctx context.Context, in io.Reader) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case out <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

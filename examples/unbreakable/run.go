package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func run(ctx context.Context, o options, out io.Writer) error {
	from, to, srv, err := o.account.Two()
	if err != nil {
		return err
	}
	if srv != nil {
		defer srv.Close()
		fmt.Fprintf(out, "A server for %s runs inside this program, at %s. Try a real one with -jid user@domain.\n", srv.Domain(), srv.Addr())
	}
	dialer := o.dialer()
	from.Dial = dialer.DialContext
	// Each has a resource of its own, and asks for it again when a new session has to begin: messages find the receiver as before.
	id := stanza.NewID()
	if from.JID, err = from.JID.WithResource("sender-" + id); err != nil {
		return err
	}
	if to.JID, err = to.JID.WithResource("receiver-" + id); err != nil {
		return err
	}
	sender, err := newClient(from)
	if err != nil {
		return err
	}
	receiver, err := newClient(to)
	if err != nil {
		return err
	}
	s := newScore(o.messages)
	s.listen(sender, receiver)

	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	for _, c := range []*client{receiver, sender} {
		defer c.Close(context.WithoutCancel(ctx))
		if err := c.start(ctx, end); err != nil {
			return err
		}
	}
	if !receiver.HasFeature("sm", sm.NS) {
		return errors.New("the server offers no stream management, without which this cannot be done")
	}
	fmt.Fprintf(out, "%d messages, %g a second. The sender's connection is cut %d times, at random bytes (-seed %d).\n\n", o.messages, o.rate, o.cuts, o.seed)
	stop := s.show(out, o.terminal)
	restarted := make(chan error, 1)
	receipts, err := s.send(ctx, sender, receiver.MyJID(), o, func() {
		go func() {
			if o.restart {
				restarted <- restart(ctx, srv, dialer, sender, receiver)
			}
			close(restarted)
		}()
	})
	if err == nil {
		err = errors.Join(s.await(ctx, receipts), <-restarted)
	}
	stop()
	fmt.Fprintf(out, "\n%s", s.table(err != nil))
	if o.svg != "" {
		if e := os.WriteFile(o.svg, s.picture(), 0o644); e != nil {
			return errors.Join(err, e)
		}
		fmt.Fprintf(out, "\nThe picture is %s.\n", o.svg)
	}
	if err != nil {
		return err
	}
	return s.verdict()
}

// About so many bytes of TLS go over the connection, both ways, for a login and for a message.
const (
	loginBytes   = 7000
	messageBytes = 420
)

// dialer makes the connections that are cut. Some do not live to the end of the login;
// the others are cut so soon that all cuts find their place before the messages end.
func (o *options) dialer() *xmpptest.FaultDialer {
	if o.cuts == 0 {
		return new(xmpptest.FaultDialer)
	}
	between := int64(o.messages) * messageBytes / int64(o.cuts)
	return &xmpptest.FaultDialer{Faults: xmpptest.RandomResets(o.seed, 500, loginBytes+between*5/4), Budget: o.cuts}
}

// restart makes the server crash and start again. What it has acknowledged and not yet passed on a server forgets then, and no client
// can know of it: that needs receipts from the receiver. So the crash waits, with the sender cut off, until the receiver has what was taken over.
func restart(ctx context.Context, srv *xmpptest.Server, dialer *xmpptest.FaultDialer, sender, receiver *client) error {
	dialer.Refuse(true)
	defer dialer.Refuse(false)
	for {
		dialer.Reset()
		_ = receiver.sm.SendAck()
		from, held := srv.SessionState(sender.MyJID())
		to, there := srv.SessionState(receiver.MyJID())
		if (!held || from.Held) && there && len(to.Unacked) == 0 {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	srv.Restart()
	return nil
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// pace is the time between two things that the others do.
var pace = 800 * time.Millisecond

// prepare puts somebody into juliet's list.
func prepare(srv *xmpptest.Server) {
	srv.AddContact("juliet", xmpptest.Contact{JID: srv.JID("nurse").String(), Name: "Nurse", Subscription: "both", Groups: []string{"Capulets"}})
	srv.AddContact("nurse", xmpptest.Contact{JID: srv.JID("juliet").String(), Name: "Lady bird", Subscription: "both"})
}

// play is what the others do, on the server inside the program. What juliet is to type goes to the keyboard.
func play(ctx context.Context, srv *xmpptest.Server, juliet *client, keyboard chan<- string) error {
	nurse, err := other(ctx, srv, "nurse")
	if err != nil {
		return err
	}
	defer nurse.Close(context.WithoutCancel(ctx))
	romeo, err := other(ctx, srv, "romeo")
	if err != nil {
		return err
	}
	defer romeo.Close(context.WithoutCancel(ctx))
	jid := srv.JID("juliet")
	for _, act := range []func() error{
		func() error { return nurse.show(ctx, stanza.ShowDND, "fetching the ladder") },
		func() error { return romeo.ask(ctx, jid, "below the balcony") },
		func() error { return say(ctx, keyboard, "accept "+srv.JID("romeo").String()+" Romeo") },
		func() error { return romeo.mutual(ctx, jid) },
		func() error { return romeo.avatar.Set(ctx, portrait()) },
		func() error {
			return romeo.show(ctx, stanza.ShowChat, "But, soft! what light through yonder window breaks?")
		},
		func() error { return cut(ctx, srv, juliet) },
		func() error { return romeo.show(ctx, stanza.ShowAway, "hiding in the orchard") },
		func() error { return nurse.Close(ctx) },
		func() error { return say(ctx, keyboard, "list") },
	} {
		if err := act(); err != nil {
			return err
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// person is one of the others.
type person struct {
	*client
	changed chan struct{} // something in the roster has
}

func other(ctx context.Context, srv *xmpptest.Server, user string) (*person, error) {
	c, err := newClient(srv.Config(user))
	if err != nil {
		return nil, err
	}
	p := &person{c, make(chan struct{}, 1)}
	c.roster.AddDelegate(roster.Delegate{Change: p}, nil)
	return p, c.Login(ctx)
}

func (p *person) RosterDidChange(context.Context, *roster.Roster) {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *person) show(ctx context.Context, show stanza.ShowType, status string) error {
	pr := stanza.NewPresence(stanza.Available, xmpp.JID{})
	pr.SetShow(show)
	pr.SetStatus(status)
	return p.Send(ctx, pr)
}

// ask asks somebody to see their presence, with a text.
func (p *person) ask(ctx context.Context, jid xmpp.JID, text string) error {
	return p.roster.Subscribe(ctx, jid, stanza.New("status").T(text))
}

// mutual waits until both see each other.
func (p *person) mutual(ctx context.Context, jid xmpp.JID) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if c, ok := p.roster.Contact(jid); ok && c.Subscription() == roster.SubscriptionBoth {
			return nil
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return fmt.Errorf("%s and %s do not see each other: %w", p.MyJID(), jid, ctx.Err())
		}
	}
}

func say(ctx context.Context, keyboard chan<- string, line string) error {
	select {
	case keyboard <- line:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// started hears of sessions.
type started chan struct{}

func (c started) DidStartSession(context.Context, *xmpp.Stream, xmpp.SessionKind) { c <- struct{}{} }

// cut ends juliet's connection, as a bad network does, and waits until there is another.
func cut(ctx context.Context, srv *xmpptest.Server, juliet *client) error {
	back := make(started, 10)
	remove := juliet.AddDelegate(xmpp.Delegate{Session: back})
	defer remove(xmpp.NoWait)
	for _, j := range srv.Sessions("juliet") {
		srv.Kill(j)
	}
	select {
	case <-back:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// portrait is a small image, as PNG.
func portrait() []byte {
	img := image.NewGray(image.Rect(0, 0, 64, 64))
	for x := range 64 {
		for y := range 64 {
			img.SetGray(x, y, color.Gray{Y: uint8(x * y / 16)})
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // a buffer does not fail
	return b.Bytes()
}

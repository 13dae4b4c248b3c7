package register_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/register"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
	"github.com/go-xmppframework/xmpp/xmppuri"
)

// A registered account, from an invitation URI to a logged-in stream. The server runs inside the program, and lets nobody have an account without an invitation;
// for a real one, Config needs JID only.
func Example_invitation() {
	srv := xmpptest.StartServer(xmpptest.WithRegistration(xmpptest.Registration{InviteOnly: true}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	link := srv.Invitation("juliet").Roster // xmpp:juliet@example.test?roster;preauth=…;ibr=y, from a mail or a picture
	inv, err := xmppuri.ParseInvitation(link)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s invites. An account at %s? %t\n", inv.JID, inv.Server(), inv.NewAccount) // now ask the person

	cfg := srv.Config("juliet") // where the test server is; JID and password are others
	cfg.Credentials = nil
	if cfg.JID, err = inv.Account("romeo"); err != nil {
		fmt.Println(err)
		return
	}
	stream, err := xmpp.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, contacts := register.New(register.Config{}), roster.New(roster.Config{})
	if err := errors.Join(r.Activate(stream), contacts.Activate(stream)); err != nil {
		fmt.Println(err)
		return
	}
	if err := r.Redeem(ctx, inv, register.Account{Password: "a good one"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("logged in as", stream.MyJID().Bare())
	if err := contacts.Fetch(ctx); err != nil {
		fmt.Println(err)
	}
	for c := range contacts.All() {
		fmt.Println("contact:", c.JID(), c.Subscription())
	}
	fmt.Println(stream.Close(ctx))
	// Output:
	// juliet@example.test invites. An account at example.test? true
	// logged in as romeo@example.test
	// contact: juliet@example.test both
	// <nil>
}

// A client that changes its password. The server runs inside the program, and says yes to everything; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer(xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, send func(string)) bool {
		if stanza.Child(e, "query", register.NS) == nil {
			return false
		}
		send("<iq type='result' id='" + e.SelectAttrValue("id", "") + "'/>")
		return true
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := register.New(register.Config{})
	if err := errors.Join(r.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	err = r.ChangePassword(ctx, "a new one")
	var more *register.FormError
	switch {
	case errors.As(err, &more):
		fmt.Println("fill in:", more.Form.Title) // and give it to Submit
	case errors.Is(err, stanza.NotAllowed):
		fmt.Println("not on this server")
	default:
		fmt.Println("changed:", err)
	}
	fmt.Println(stream.Close(ctx))
	// Output:
	// changed: <nil>
	// <nil>
}

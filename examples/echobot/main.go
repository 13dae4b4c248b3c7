// Echobot answers every chat message with its own words. XMPP_JID and XMPP_PASSWORD say who it is; Ctrl-C ends it.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	account, err := xmpp.ParseJID(os.Getenv("XMPP_JID"))
	if err != nil {
		log.Fatal("XMPP_JID: ", err)
	}
	bot, err := xmpp.New(xmpp.Config{JID: account, Credentials: xmpp.Password(os.Getenv("XMPP_PASSWORD"))})
	if err != nil {
		log.Fatal(err)
	}
	bot.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(echo)})
	// A lost connection is replaced, and nothing is lost with it.
	if err := errors.Join(sm.New(sm.Config{}).Activate(bot), reconnect.New(reconnect.Config{}).Activate(bot), bot.Login(ctx)); err != nil {
		log.Fatal(err)
	}
	log.Print("ended: ", bot.Wait(ctx))
	_ = bot.Close(context.Background())
}

// echo answers people: not itself, and no other bot of its kind.
func echo(ctx context.Context, bot *xmpp.Stream, m *stanza.Message) {
	if m.IsChatWithBody() && m.From().Bare() != bot.MyJID().Bare() && !strings.HasPrefix(m.Body(), "echo: ") {
		if err := bot.Send(ctx, m.Reply("echo: "+m.Body())); err != nil {
			log.Print(err)
		}
	}
}

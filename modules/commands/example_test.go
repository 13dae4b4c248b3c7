package commands_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/commands"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// greet is a command of two stages: it asks for a name, and greets.
func greet(context.Context, *commands.Request) (*commands.Response, error) {
	question := &form.Form{Title: "Who are you?", Fields: form.Fields{{Var: "name", Label: "Name", Type: form.TextSingle, Required: true}}}
	return commands.Ask(question, func(_ context.Context, r *commands.Request) (*commands.Response, error) {
		return commands.Done("Hello, " + r.Form.Value("name") + "!"), nil
	}), nil
}

// A bot that offers a command, and somebody who runs it. The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	bot, err1 := xmpp.New(srv.Config("bot"))
	juliet, err2 := xmpp.New(srv.Config("juliet"))
	if err := errors.Join(err1, err2); err != nil {
		fmt.Println(err)
		return
	}
	offered := commands.New(commands.Config{Allow: commands.Anyone})
	_, err := offered.Register(commands.Definition{Node: "greet", Name: "Be greeted", Handler: greet})
	mine := commands.New(commands.Config{})
	if err := errors.Join(err, disco.New(disco.Config{}).Activate(bot), offered.Activate(bot), mine.Activate(juliet), bot.Login(ctx), juliet.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	list, err := mine.List(ctx, bot.MyJID())
	if err != nil || len(list) == 0 {
		fmt.Println(list, err)
		return
	}
	fmt.Println(list[0].Name)
	ses, err := mine.Execute(ctx, bot.MyJID(), list[0].Node)
	if err != nil {
		fmt.Println(err)
		return
	}
	filled, err := ses.Form().Submit().Set("name", "Juliet").Form()
	if err == nil {
		err = ses.Submit(ctx, filled)
	}
	fmt.Println(ses.Reply().Notes[0].Text, ses.Done(), err)
	fmt.Println(errors.Join(bot.Close(ctx), juliet.Close(ctx)))
	// Output:
	// Be greeted
	// Hello, Juliet! true <nil>
	// <nil>
}

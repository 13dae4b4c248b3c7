package interop

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/commands"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// TestCommands: a command of two stages, run by each of the other.
func TestCommands(t *testing.T) {
	srv := integration.Shared(t, integration.Prosody)
	c := commands.New(commands.Config{Allow: commands.Anyone})
	s := srv.Client(t, func(s *xmpp.Stream) { must(t, errors.Join(disco.New(disco.Config{}).Activate(s), c.Activate(s))) })
	_, err := c.Register(commands.Definition{Node: "greet", Name: "Be greeted", Handler: func(context.Context, *commands.Request) (*commands.Response, error) {
		question := &form.Form{Title: "Who are you?", Fields: form.Fields{{Var: "name", Label: "Name", Type: form.TextSingle, Required: true}}}
		return commands.Ask(question, func(_ context.Context, r *commands.Request) (*commands.Response, error) {
			return commands.Done("Hello, " + r.Form.Value("name") + "!"), nil
		}), nil
	}})
	must(t, err)
	theirs := Start(t, srv, Slixmpp)
	got := theirs.Do("run", map[string]any{"jid": s.MyJID().String(), "node": "greet", "name": "Rémy & <Co>"})
	if fmt.Sprint(got["offered"]) != "[Be greeted]" || got.String("status") != "completed" || fmt.Sprint(got["notes"]) != "[Hello, Rémy & <Co>!]" {
		t.Errorf("theirs ran ours: %v", got)
	}

	theirs.Do("offer", map[string]any{"node": "theirs", "name": "Their command"})
	list, err := c.List(t.Context(), theirs.JID)
	if err != nil || len(list) != 1 || list[0] != (commands.Command{JID: theirs.JID, Node: "theirs", Name: "Their command"}) {
		t.Fatalf("their list: %+v, %v", list, err)
	}
	ses, err := c.Execute(t.Context(), theirs.JID, "theirs")
	must(t, err)
	_, err = ses.Form().Submit().Form()
	if !errors.Is(err, form.ErrRequired) {
		t.Errorf("their form: %v", err)
	}
	filled, err := ses.Form().Submit().Set("name", "Rémy & <Co>").Form()
	must(t, err)
	must(t, ses.Submit(t.Context(), filled))
	if r := ses.Reply(); !ses.Done() || r.Err() != nil || len(r.Notes) != 1 || r.Notes[0].Text != "Hello, Rémy & <Co>!" {
		t.Errorf("ours ran theirs: %+v", r)
	}
}

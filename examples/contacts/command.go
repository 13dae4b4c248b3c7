package main

import (
	"context"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const help = `list                   everybody
add JID [NAME]         put somebody into the list, and ask to see when they are there
accept JID             let somebody see when you are here, and ask for the same
reject JID             do not
rename JID NAME        give somebody another name
remove JID             take somebody out of the list
away [TEXT], here      tell your contacts
quit`

// do does what a line says, and shows an error. It is false for the last one.
func (v *view) do(ctx context.Context, typed string) bool {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	verb, rest, _ := strings.Cut(strings.TrimSpace(typed), " ")
	rest = strings.TrimSpace(rest)
	var err error
	switch verb {
	case "":
	case "list":
		v.list()
	case "away":
		p := stanza.NewPresence(stanza.Available, xmpp.JID{})
		p.SetShow(stanza.ShowAway)
		p.SetStatus(rest)
		err = v.Send(ctx, p)
	case "here":
		err = v.Send(ctx, stanza.NewPresence(stanza.Available, xmpp.JID{}))
	case "add", "accept", "reject", "rename", "remove":
		err = v.edit(ctx, verb, rest)
	case "quit":
		return false
	default:
		v.say("%s", help)
	}
	if err != nil {
		v.say("! %s: %v", verb, err)
	}
	return true
}

func (v *view) edit(ctx context.Context, verb, rest string) error {
	who, name, _ := strings.Cut(rest, " ")
	jid, err := xmpp.ParseJID(who)
	if err != nil {
		return err
	}
	switch verb {
	case "add":
		return v.roster.Add(ctx, jid, strings.TrimSpace(name))
	case "accept":
		return v.roster.AcceptAndAdd(ctx, jid, strings.TrimSpace(name))
	case "reject":
		return v.roster.Reject(ctx, jid)
	case "rename":
		return v.roster.SetName(ctx, jid, strings.TrimSpace(name))
	default:
		return v.roster.Remove(ctx, jid)
	}
}

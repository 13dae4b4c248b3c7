package interop

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/chatstates"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/receipts"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

// ours is a client of ours, with the modules for people.
type ours struct {
	*xmpp.Stream
	roster   *roster.Roster
	receipts *receipts.Receipts
	vcard    *vcard.VCard
	states   *chatstates.ChatStates
	caps     *caps.Caps

	changed  chan struct{}
	requests chan *stanza.Presence
	typing   chan string
	messages chan *stanza.Message
}

func newOurs(t *testing.T, srv *integration.Server) *ours {
	t.Helper()
	o := &ours{
		roster: roster.New(roster.Config{}), vcard: vcard.New(vcard.Config{}), states: chatstates.New(chatstates.Config{}), caps: caps.New(caps.Config{}),
		receipts: receipts.New(receipts.Config{Answer: true}),
		changed:  make(chan struct{}, 1), requests: make(chan *stanza.Presence, 10), typing: make(chan string, 10), messages: make(chan *stanza.Message, 10),
	}
	o.roster.AddDelegate(roster.Delegate{Change: o, Subscription: o}, nil)
	o.states.AddDelegate(o, nil)
	o.Stream = srv.Client(t, func(s *xmpp.Stream) {
		s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { o.messages <- m })})
		err := errors.Join(disco.New(disco.Config{}).Activate(s), o.caps.Activate(s), o.roster.Activate(s), o.receipts.Activate(s), o.vcard.Activate(s), o.states.Activate(s))
		if err != nil {
			t.Fatal(err)
		}
	})
	return o
}

func (o *ours) RosterDidChange(context.Context, *roster.Roster) {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

func (o *ours) RosterDidReceivePresenceSubscriptionRequest(_ context.Context, _ *roster.Roster, _ roster.Contact, p *stanza.Presence) {
	o.requests <- p
}

func (o *ours) RosterDidReceivePresenceSubscriptionAnswer(context.Context, *roster.Roster, roster.Contact, *stanza.Presence) {
}

func (o *ours) ChatStateDidChange(_ context.Context, _ *chatstates.ChatStates, from xmpp.JID, thread string, s chatstates.State) {
	o.typing <- from.String() + " " + string(s)
}

// until waits until the contact is as it should be.
func (o *ours) until(t *testing.T, who xmpp.JID, ok func(c roster.Contact) bool) roster.Contact {
	t.Helper()
	for {
		c, _ := o.roster.Contact(who)
		if ok(c) {
			return c
		}
		next(t, fmt.Sprintf("change of %s, which is %v, %v", who, c.State(), c.Item()), o.changed, func(struct{}) bool { return true })
	}
}

var must = testkit.Must

// befriend makes both see each other's presence: theirs asks, ours accepts and asks, theirs accepts.
func befriend(t *testing.T, o *ours, theirs *Client) {
	t.Helper()
	me := o.MyJID().Bare().String()
	theirs.Do("presence", map[string]any{"to": me, "type": "subscribe"})
	p := next(t, "request", o.requests, func(*stanza.Presence) bool { return true })
	if p.From().Bare() != theirs.JID.Bare() {
		t.Errorf("request of %v", p.From())
	}
	must(t, o.roster.AcceptAndAdd(t.Context(), theirs.JID.Bare(), "Other", "Interop"))
	theirs.Expect("presence", map[string]string{"from": me, "type": "subscribed"})
	theirs.Expect("presence", map[string]string{"from": me, "type": "subscribe"})
	theirs.Do("presence", map[string]any{"to": me, "type": "subscribed"})
	c := o.until(t, theirs.JID, func(c roster.Contact) bool { return c.Subscription() == roster.SubscriptionBoth && c.IsOnline() })
	if c.Name() != "Other" || !c.InGroup("Interop") {
		t.Errorf("contact: %+v", c.Item())
	}
}

// TestPresence: subscriptions and presence both ways, and what each roster says of it.
func TestPresence(t *testing.T) {
	each(t, func(t *testing.T, srv *integration.Server, p Program) {
		o, theirs := newOurs(t, srv), Start(t, srv, p)
		befriend(t, o, theirs)

		theirs.Do("presence", map[string]any{"show": "away", "status": "out <for> lunch"})
		o.until(t, theirs.JID, func(c roster.Contact) bool {
			res, ok := c.Resource(theirs.JID)
			return ok && res.Show() == stanza.ShowAway && res.Status() == "out <for> lunch"
		})
		mine := stanza.NewPresence(stanza.Available, xmpp.JID{})
		mine.SetShow(stanza.ShowDND)
		mine.SetStatus("& busy")
		must(t, o.Send(t.Context(), mine))
		theirs.Expect("presence", map[string]string{"from": o.MyJID().String(), "show": "dnd", "status": "& busy"})

		theirs.Do("presence", map[string]any{"to": o.MyJID().Bare().String(), "type": "unsubscribed"})
		o.until(t, theirs.JID, func(c roster.Contact) bool { return c.Subscription() == roster.SubscriptionFrom && !c.IsOnline() })
		must(t, o.roster.Remove(t.Context(), theirs.JID))
		theirs.Expect("presence", map[string]string{"from": o.MyJID().Bare().String(), "type": "unsubscribed"})
	})
}

// TestReceipts: a receipt each way, between people who see each other's presence.
func TestReceipts(t *testing.T) {
	each(t, func(t *testing.T, srv *integration.Server, p Program) {
		o, theirs := newOurs(t, srv), Start(t, srv, p)
		befriend(t, o, theirs)
		d, err := o.receipts.Send(t.Context(), stanza.NewMessage(stanza.Chat, theirs.JID, "did you get this?"))
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		if state, err := d.Wait(ctx); state != receipts.Delivered || err != nil || d.By() != theirs.JID {
			t.Errorf("%v, %v, by %v", state, err, d.By())
		}
		theirs.Do("message", map[string]any{"to": o.MyJID().String(), "body": "and you?", "id": "r1", "receipt": true})
		theirs.Expect("receipt", map[string]string{"from": o.MyJID().String(), "id": "r1"})
	})
}

// TestChatStates: typing is told both ways.
func TestChatStates(t *testing.T) {
	each(t, func(t *testing.T, srv *integration.Server, p Program) {
		o, theirs := newOurs(t, srv), Start(t, srv, p)
		befriend(t, o, theirs)
		theirs.Do("chatstate", map[string]any{"to": o.MyJID().String(), "state": "composing"})
		next(t, "composing", o.typing, func(s string) bool { return s == theirs.JID.String()+" composing" })
		must(t, o.states.Composing(t.Context(), theirs.JID))
		theirs.Expect("chatstate", map[string]string{"from": o.MyJID().String(), "state": "composing"})
	})
}

// TestVCards: each side reads what the other has published.
func TestVCards(t *testing.T) {
	photo := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), bytes.Repeat([]byte{0, 255, 7}, 1000)...)
	each(t, func(t *testing.T, srv *integration.Server, p Program) {
		o, theirs := newOurs(t, srv), Start(t, srv, p)
		befriend(t, o, theirs)
		theirs.Do("setvcard", map[string]any{"name": "Rémy & <Co>", "photo": base64.StdEncoding.EncodeToString(photo)})
		card, err := o.vcard.FetchFresh(t.Context(), theirs.JID.Bare())
		must(t, err)
		if card.FormattedName != "Rémy & <Co>" || card.Photo == nil || !bytes.Equal(card.Photo.Data, photo) {
			t.Errorf("their card: %+v", card)
		}
		must(t, o.vcard.UpdateMyVCard(t.Context(), &vcard.Card{FormattedName: "Ours & <only>", Photo: vcard.NewMedia(photo, "image/png")}))
		got := theirs.Do("getvcard", map[string]any{"jid": o.MyJID().Bare().String()})
		if got.String("name") != "Ours & <only>" || got.String("photo") != base64.StdEncoding.EncodeToString(photo) {
			t.Errorf("our card, as they read it: name %q, %d bytes of photo", got.String("name"), len(got.String("photo")))
		}
	})
}

// TestFeatures: they read what we can do; we know it of them by their presence alone, where they announce it.
func TestFeatures(t *testing.T) {
	each(t, func(t *testing.T, srv *integration.Server, p Program) {
		o, theirs := newOurs(t, srv), Start(t, srv, p)
		befriend(t, o, theirs)
		features := fmt.Sprint(theirs.Do("features", map[string]any{"jid": o.MyJID().String()})["features"])
		for _, want := range []string{disco.NSInfo, caps.NS, receipts.NS, chatstates.NS} {
			if !bytes.Contains([]byte(features), []byte(want)) {
				t.Errorf("no %s in %s", want, features)
			}
		}
		if p == Slixmpp {
			info, err := o.caps.Fetch(t.Context(), theirs.JID)
			must(t, err)
			if yes, known := o.caps.Supports(theirs.JID, receipts.NS); !yes || !known || !info.Has(receipts.NS) {
				t.Errorf("receipts: %v, %v; %+v", yes, known, info)
			}
		}
	})
}

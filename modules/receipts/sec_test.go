package receipts_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/receipts"
	"github.com/go-xmppframework/xmpp/stanza"
)

const mucUser = "<x xmlns='http://jabber.org/protocol/muc#user'/>"

// TestSec_ORG15: receipts that prove nothing are none.
func TestSec_ORG15(t *testing.T) {
	checkGoroutines(t)
	for _, tt := range []struct {
		name  string
		to    string
		extra string // in the message
		wrong []string
		right string
	}{
		{"to a bare address", "romeo@example.test", "", []string{
			"<message from='mallory@example.test/x' type='chat'>" + received("1") + "</message>",
			"<message from='romeo@evil.test' type='chat'>" + received("1") + "</message>",
			"<message from='example.test' type='chat'>" + received("1") + "</message>",
			"<message from='juliet@example.test' type='chat'>" + received("1") + "</message>",
			"<message from='juliet@example.test/other' type='chat'>" + received("1") + "</message>",
			"<message type='chat'>" + received("1") + "</message>",
			"<message from='romeo@example.test/a' type='groupchat'>" + received("1") + "</message>",
			"<message from='romeo@example.test/a' type='error'>" + received("1") + "</message>",
			"<message from='romeo@example.test/a' type='chat'>" + received("never-sent") + "</message>",
			"<message from='romeo@example.test/a' type='chat'>" + received("") + "</message>",
			"<message from='romeo@example.test/a' type='chat' id='1'><received xmlns='urn:xmpp:receipts'/></message>",
			"<message from='romeo@example.test/a' type='chat'><received xmlns='urn:x' id='1'/></message>",
			"<message from='romeo@example.test/a' type='chat'><received xmlns='urn:xmpp:receipts' xmlns:q='urn:q' q:id='1'/></message>",
			"<message from='romeo@example.test/a' type='chat'><x xmlns='urn:x'>" + received("1") + "</x></message>",
			"<message from='mallory@example.test/x' to='{jid}'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='romeo@example.test/a' to='{jid}'>" + received("1") + "</message></forwarded></received></message>",
			"<presence from='romeo@example.test/a'>" + received("1") + "</presence>",
			"<message from='juliet@example.test' type='error' id='1'/>",
			"<message from='mallory@example.test' type='error' id='1'/>",
			"<message from='romeo@example.test' type='error' id='2'/>",
		}, "<message from='ROMEO@example.test/other' id='r'>" + received("1") + "</message>"},
		{"to a client", "romeo@example.test/a", "", []string{
			"<message from='mallory@example.test/a'>" + received("1") + "</message>",
			"<message from='romeo@example.test/b'>" + received("1") + mucUser + "</message>",
		}, "<message from='romeo@example.test/b'>" + received("1") + "</message>"},
		{"to a room", "room@rooms.test", "", []string{
			"<message from='room@rooms.test/mallory' type='groupchat'>" + received("1") + "</message>",
			"<message from='room@rooms.test' type='groupchat'>" + received("1") + "</message>",
		}, "<message from='room@rooms.test'>" + received("1") + "</message>"},
		{"to an occupant, marked", "room@rooms.test/romeo", mucUser, []string{
			"<message from='room@rooms.test/mallory' type='chat'>" + received("1") + "</message>",
			"<message from='room@rooms.test' type='chat'>" + received("1") + "</message>",
			"<message from='room@rooms.test/mallory' type='error' id='1'/>",
		}, "<message from='room@rooms.test/romeo'>" + received("1") + mucUser + "</message>"},
		{"to an occupant of a room that was joined", "room@joined.test/romeo", "", []string{
			"<message from='room@joined.test/mallory' type='chat'>" + received("1") + "</message>",
		}, "<message from='room@joined.test/romeo'>" + received("1") + "</message>"},
		{"to an occupant, the answer marked", "room@rooms.test/romeo", "", []string{
			"<message from='room@rooms.test/mallory' type='chat'>" + received("1") + mucUser + "</message>",
		}, "<message from='room@rooms.test/romeo'>" + received("1") + "</message>"},
	} {
		for _, how := range []string{"Receipts.Send", "Stream.Send"} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, s, peer, e := pair(t, receipts.Config{Request: true})
					must(t, new(rooms).Activate(s))
					m := parse(t, "<message to='"+tt.to+"' type='chat' id='1'><body>hi</body>"+tt.extra+"</message>")
					delivered := ""
					if how == "Stream.Send" {
						must(t, s.Send(t.Context(), m))
					} else {
						_ = val(r.Send(t.Context(), m))
						delivered = "; 1 delivered"
					}
					peer.Next()
					synctest.Wait()
					e.take()
					for _, w := range tt.wrong {
						peer.Play("S: " + w)
						e.want(t, w, "")
					}
					peer.Play("S: " + tt.right)
					e.want(t, "the true receipt", "receipt 1 from "+parse(t, tt.right).From().String()+delivered)
					peer.Play("S: " + tt.right)
					e.want(t, "the same once more", "")
				})
			})
		}
	}
}

// TestSec_Flood: a flood of receipts and requests costs a bounded amount, and keeps nobody from anything.
func TestSec_Flood(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		r, s, peer, e := pair(t, receipts.Config{Answer: true, MaxPending: 100, Allow: func(xmpp.JID) bool { asked++; return false }})
		for i := range 1000 {
			_ = val(r.Send(t.Context(), message("romeo@example.test", fmt.Sprint(i))))
			peer.Next()
		}
		for i := range 5000 {
			peer.Inject(fmt.Sprintf("<message from='mallory@example.test/x' type='chat' id='%d'>%s</message>", i, received(fmt.Sprint(i))))
			peer.Inject(fmt.Sprintf("<message from='mallory@example.test/x' type='chat' id='%d'>%s</message>", i, request))
		}
		synctest.Wait()
		e.take()
		if asked != 5000 {
			t.Errorf("the policy was asked %d times", asked)
		}
		for i := range 1000 {
			peer.Inject(fmt.Sprintf("<message from='romeo@example.test/x' type='chat' id='r%d'>%s</message>", i, received(fmt.Sprint(i))))
		}
		peer.Play(sync0)
		synctest.Wait()
		n := 0
		for _, c := range e.take() {
			if c == ';' {
				n++
			}
		}
		if n != 2*100-1 {
			t.Errorf("%d events for 100 messages", n+1)
		}
		if !s.IsAuthenticated() {
			t.Error("the stream has ended")
		}
	})
}

// room joins a room at the server and returns when its own presence came.
func room(t *testing.T, s *xmpp.Stream, at xmpp.JID, nick string) xmpp.JID {
	t.Helper()
	me := val(at.WithResource(nick))
	joined := make(chan struct{}, 10)
	remove := s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
		if p.From() == me {
			joined <- struct{}{}
		}
	})})
	defer func() { _ = remove(xmpp.NoWait) }()
	p := stanza.NewPresence(stanza.Available, me)
	p.C("x", "http://jabber.org/protocol/muc")
	must(t, s.Send(t.Context(), p))
	select {
	case <-joined:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s was not joined", me)
	}
	return me
}

// TestSec_ORG15Real: a third account sends false receipts through a real server, from outside and from inside a room.
func TestSec_ORG15Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		e := new(events)
		r := receipts.New(receipts.Config{})
		r.AddDelegate(receipts.Delegate{Receipt: e}, nil)
		seen := make(chan string, 100)
		look := func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { seen <- m.Body() }
		victim := srv.Client(t, func(s *xmpp.Stream) {
			must(t, r.Activate(s))
			s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(look)})
		})
		friend, evil := srv.Client(t), srv.Client(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		// lie sends a receipt, and a body by which the victim is seen to have it.
		n := 0
		lie := func(from *xmpp.Stream, typ stanza.MessageType, to xmpp.JID, id string) {
			t.Helper()
			n++
			m := stanza.NewMessage(typ, to, fmt.Sprint("lie ", n))
			m.C("received", receipts.NS).A("id", id)
			must(t, from.Send(ctx, m))
			for {
				select {
				case body := <-seen:
					if body == m.Body() {
						return
					}
				case <-ctx.Done():
					t.Fatalf("%s did not arrive", m.Body())
				}
			}
		}
		d := val(r.Send(ctx, stanza.NewMessage(stanza.Chat, friend.MyJID().Bare(), "hi")))
		lie(evil, stanza.Chat, victim.MyJID(), d.ID())
		lie(evil, stanza.Normal, victim.MyJID().Bare(), d.ID())
		lie(friend, stanza.Chat, victim.MyJID(), "never-sent")

		at := xmpp.MustParseJID(fmt.Sprintf("%s@conference.%s", stanza.NewID(), integration.Lean))
		lean := []*xmpp.Stream{srv.ClientAt(t, integration.Lean, func(s *xmpp.Stream) {
			must(t, receipts.New(receipts.Config{}).Activate(s))
		}), srv.ClientAt(t, integration.Lean), srv.ClientAt(t, integration.Lean)}
		inRoom, _ := xmpp.ModuleOf[*receipts.Receipts](lean[0])
		inRoom.AddDelegate(receipts.Delegate{Receipt: e}, nil)
		lean[0].AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(look)})
		me := room(t, lean[0], at, "victim")
		them := room(t, lean[1], at, "friend")
		room(t, lean[2], at, "evil")
		pm := val(inRoom.Send(ctx, stanza.NewMessage(stanza.Chat, them, "hi")))
		self := val(inRoom.Send(ctx, stanza.NewMessage(stanza.Normal, me, "to myself")))
		for _, id := range []string{pm.ID(), self.ID()} {
			lie(lean[2], stanza.Groupchat, at, id)
			lie(lean[2], stanza.Chat, me, id)
		}
		if got := e.take(); got != "" {
			t.Errorf("believed: %s", got)
		}
		lie(friend, stanza.Chat, victim.MyJID(), d.ID())
		lie(lean[1], stanza.Chat, me, pm.ID())
		for i, d := range []*receipts.Delivery{d, pm} {
			if state, err := d.Wait(ctx); state != receipts.Delivered || err != nil {
				t.Errorf("%d: the true receipt: %v, %v", i, state, err)
			}
		}
	})
}

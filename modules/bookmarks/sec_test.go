package bookmarks_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// forged is what others would like the list to be, in both forms.
func forged(room string) []string {
	return []string{
		"<items node='urn:xmpp:bookmarks:1'><item id='" + room + "'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'/></item></items>",
		"<items node='storage:bookmarks'><item id='current'><storage xmlns='storage:bookmarks'><conference jid='" + room + "' autojoin='true'/></storage></item></items>",
		"<items node='urn:xmpp:bookmarks:1'><item id='" + room + "'/></items>", "<items node='storage:bookmarks'><item/></items>",
		"<items node='urn:xmpp:bookmarks:1'><retract id='garden@conference.example.test'/></items>", "<items node='storage:bookmarks'><retract id='current'/></items>",
		"<purge node='urn:xmpp:bookmarks:1'/>", "<purge node='storage:bookmarks'/>", "<delete node='urn:xmpp:bookmarks:1'/>", "<delete node='storage:bookmarks'/>",
	}
}

// TestSec_ORG09: nobody but the own account tells what is in the list, and nobody else brings us into a room, or out of one.
func TestSec_ORG09(t *testing.T) {
	eachForm(t, func(t *testing.T, srv *xmpptest.Server, m bookmarks.Method) {
		c, ctx := visit(t, srv, "juliet", options{}), t.Context()
		must(t, c.Wait(ctx))
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("garden"), AutoJoin: true}))
		c.settled()
		before := c.s.Stats().StanzasSent
		for _, what := range forged("trap@conference.example.test") {
			event := "<event xmlns='http://jabber.org/protocol/pubsub#event'>" + what + "</event>"
			for _, message := range []string{
				"from='mallory@example.test'", "from='mallory@example.test/x'", "from='example.test'", "from='conference.example.test'", "from='garden@conference.example.test'",
				"from='garden@conference.example.test/mallory'", "from='juliet@example.test/other'", "from='juliet@example.test' type='error'", "from='juliet@example.test' type='groupchat'",
				"from='juliet@example.org'", "xmlns:q='urn:q' q:from='juliet@example.test' from='mallory@example.test'",
			} {
				must(t, c.s.Inject(ctx, stanza.Raw(element(t, "<message xmlns='jabber:client' "+message+">"+event+"</message>"))))
			}
			for _, inside := range []string{
				"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='juliet@example.test'>" + event + "</message></forwarded>",
				"<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='juliet@example.test'>" + event + "</message></forwarded></sent>",
				strings.Replace(event, "#event'", "'", 1),
			} {
				for _, from := range []string{"mallory@example.test", "juliet@example.test"} {
					must(t, c.s.Inject(ctx, stanza.Raw(element(t, "<message xmlns='jabber:client' from='"+from+"'>"+inside+"</message>"))))
				}
			}
			must(t, c.s.Inject(ctx, stanza.Raw(element(t, "<message xmlns='jabber:client' from='mallory@example.test'><x xmlns='jabber:x:conference' jid='trap@conference.example.test'/></message>"))))
		}
		c.hears(t, "forgeries")
		c.has(t, "forgeries", "garden auto")
		if in, n := c.in(), c.s.Stats().StanzasSent-before; in != "garden/juliet" || n != 0 {
			t.Errorf("in %s; %d stanzas were sent", in, n)
		}
	})
}

// TestSec_ORG09_Servers: forgeries by a stranger who is a client, and by a contact who has a node of that name himself, through real servers.
func TestSec_ORG09_Servers(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c, setup := newClient(t, options{})
		events, end := make(chan xmpp.JID, 1000), make(chan struct{})
		srv.Client(t, func(s *xmpp.Stream) {
			setup(s)
			s.AddDelegate(xmpp.Delegate{Queue: c.queue, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
				switch {
				case m.Child("event", pubsub.NSEvent) != nil:
					events <- m.From()
				case m.Body() == "that was all":
					close(end)
				}
			})})
		})
		mallory := srv.Client(t)
		integration.Befriend(t, ctx, c.s, mallory)
		must(t, c.Wait(ctx))
		garden := xmpp.MustParseJID("garden@conference." + integration.Full)
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: garden}))
		want := listOf(c.Bookmarks)

		// A real event, of a node that everybody may read.
		p, err := pubsub.Of(mallory)
		must(t, err)
		trap := "trap-" + strings.ToLower(mallory.GenerateUUID()) + "@conference." + integration.Full
		open := &pubsub.PublishOptions{Config: pubsub.NewOptions(pubsub.AccessModel, "open", pubsub.PersistItems, "true"), Reconfigure: true}
		for n := range 2 {
			payload := element(t, "<conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'/>")
			_, err = p.Publish(ctx, xmpp.JID{}, bookmarks.NS, pubsub.Item{ID: trap, Payload: payload}, open)
			_, err2 := p.Publish(ctx, xmpp.JID{}, bookmarks.NSOld, pubsub.Item{ID: "current", Payload: element(t, "<storage xmlns='storage:bookmarks'><conference jid='"+trap+"' autojoin='true'/></storage>")}, open)
			if err != nil || err2 != nil {
				t.Logf("publishing openly, %d: %v, %v", n, err, err2)
			}
		}
		for _, to := range []xmpp.JID{c.s.MyJID(), c.s.MyJID().Bare()} {
			for _, typ := range []stanza.MessageType{stanza.Headline, stanza.Normal, stanza.Chat} {
				for _, what := range forged(trap) {
					m := stanza.NewMessage(typ, to, "")
					m.Add(stanza.Raw(element(t, "<event xmlns='http://jabber.org/protocol/pubsub#event'>"+strings.ReplaceAll(what, "garden@conference.example.test", garden.String())+"</event>")))
					must(t, mallory.Send(ctx, m))
				}
			}
		}
		must(t, mallory.Send(ctx, stanza.NewMessage(stanza.Chat, c.s.MyJID(), "that was all")))
		select {
		case <-end:
		case <-ctx.Done():
			t.Fatal("the end has not come")
		}
		heard := map[string]int{}
		for len(events) > 0 {
			heard[(<-events).String()]++
		}
		t.Logf("%s: events that came through: %v", srv.Kind, heard)
		if heard[mallory.MyJID().String()] == 0 {
			t.Error("no forgery has come through: this test sees nothing")
		}
		if got := listOf(c.Bookmarks); got != want || want == "" {
			t.Errorf("the list is %q, want %q", got, want)
		}
		must(t, c.Fetch(ctx))
		if got := listOf(c.Bookmarks); got != want || c.in() != "" {
			t.Errorf("the list is %q, want %q; in %q", got, want, c.in())
		}
		_ = c.s.Close(ctx)
		_ = mallory.Close(ctx)
	})
}

// TestSec_ORG09_OpenNode: a node at which everybody may publish, as another client may have made it: the server would tell a stranger's bookmark in the account's name.
func TestSec_ORG09_OpenNode(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		login := account(t, srv)
		old, mallory := login(options{Config: bookmarks.Config{NoAutoFetch: true}}), srv.Client(t)
		integration.Befriend(t, ctx, old.s, mallory)
		p, err := pubsub.Of(old.s)
		must(t, err)
		m, err := pubsub.Of(mallory)
		must(t, err)
		publish := func(node, id, payload string) error {
			_, err := m.Publish(ctx, old.s.MyJID().Bare(), node, pubsub.Item{ID: id, Payload: element(t, payload)}, nil)
			return err
		}
		for method, node := range map[bookmarks.Method]string{bookmarks.MethodNative: bookmarks.NS, bookmarks.MethodPEP: bookmarks.NSOld} {
			open := pubsub.NewOptions(pubsub.AccessModel, "open", pubsub.PublishModel, "open", pubsub.PersistItems, "true")
			if _, err := p.CreateNode(ctx, xmpp.JID{}, node, open); errors.Is(err, stanza.Conflict) { // Prosody has made it of the other one
				err = p.Configure(ctx, xmpp.JID{}, node, open)
				must(t, err)
			}
			c := login(options{Config: bookmarks.Config{Method: method}})
			must(t, c.Wait(ctx))
			err := publish(bookmarks.NSOld, "current", "<storage xmlns='storage:bookmarks'><conference jid='trap@x.example' autojoin='true'/></storage>")
			if method == bookmarks.MethodNative {
				err = publish(bookmarks.NS, "trap@x.example", "<conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'/>")
			}
			prosody := srv.Kind.IsProsody() // it says yes to the older form, which does not come here
			if !errors.Is(err, stanza.Forbidden) && (!prosody || method == bookmarks.MethodNative) {
				t.Errorf("%v: a stranger publishes: %v", method, err)
			}
			must(t, c.Fetch(ctx))
			if got := c.heard(t); got != "fetched" && got != "fetched\nfetched" || c.Len() != 0 { // once or twice: what is under way is not asked for again
				t.Errorf("%v: heard\n%s", method, got)
			}
			_ = c.s.Close(ctx)
		}
		_ = old.s.Close(ctx)
		_ = mallory.Close(ctx)
	})
}

// TestSec_ORG10: the list is not published where others could read it (CVE-2018-6591).
func TestSec_ORG10(t *testing.T) {
	for _, method := range []bookmarks.Method{bookmarks.MethodNative, bookmarks.MethodPEP, bookmarks.MethodBoth} {
		for name, tt := range map[string]struct {
			features string
			model    string // what the node stays, whatever is asked for
			err      error
		}{
			"no publish options":      {"<feature var='http://jabber.org/protocol/pubsub#publish'/><feature var='urn:xmpp:bookmarks:1#compat'/>", "whitelist", pubsub.ErrNoPublishOptions},
			"the node stays open":     {"<feature var='http://jabber.org/protocol/pubsub#publish-options'/>", "open", pubsub.ErrNotHonoured},
			"the node stays presence": {"<feature var='http://jabber.org/protocol/pubsub#publish-options'/>", "presence", pubsub.ErrNotHonoured},
		} {
			t.Run(fmt.Sprintf("%v, %s", method, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					published := false
					srv := xmpptest.NewServer(t, xmpptest.WithPEP(), xmpptest.Without("jabber:iq:private"), xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, send func(string)) bool {
						answer := ""
						p, owner := stanza.Child(e, "pubsub", pubsub.NS), stanza.Child(e, "pubsub", pubsub.NSOwner)
						switch {
						case stanza.Child(e, "query", "http://jabber.org/protocol/disco#info") != nil && stanza.AttrOr(e, "to", "") == "juliet@example.test":
							answer = "<query xmlns='http://jabber.org/protocol/disco#info'>" + tt.features + "</query>"
						case stanza.Child(p, "publish", pubsub.NS) != nil:
							published = true
						case owner != nil && stanza.AttrOr(e, "type", "") == "get":
							node := stanza.AttrOr(stanza.Child(owner, "configure", pubsub.NSOwner), "node", "")
							answer = "<pubsub xmlns='" + pubsub.NSOwner + "'><configure node='" + node + "'><x xmlns='jabber:x:data' type='form'><field var='pubsub#persist_items'><value>1</value></field><field var='pubsub#max_items'><value>9</value></field>" +
								"<field var='pubsub#send_last_published_item'><value>never</value></field><field var='pubsub#access_model'><value>" + tt.model + "</value></field></x></configure></pubsub>"
						case owner != nil:
							answer = " "
						}
						if answer != "" {
							send("<iq type='result' id='" + stanza.AttrOr(e, "id", "") + "' from='" + stanza.AttrOr(e, "to", "juliet@example.test") + "'>" + answer + "</iq>")
						}
						return answer != ""
					}))
					c := visit(t, srv, "juliet", options{Config: bookmarks.Config{Method: method}, noCaps: true})
					must(t, c.Wait(t.Context()))
					err := c.Set(t.Context(), bookmarks.Bookmark{JID: room("garden"), Password: "secret"})
					if !errors.Is(err, tt.err) || published || c.Len() != 0 {
						t.Errorf("%v, want %v; published: %v; %d bookmarks", err, tt.err, published, c.Len())
					}
				})
			})
		}
	}
}

// TestSec_ORG10_Servers: on real servers, contacts and strangers cannot read the list, not even one that was open before.
func TestSec_ORG10_Servers(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		romeo := srv.Client(t)
		for _, method := range []bookmarks.Method{bookmarks.MethodNative, bookmarks.MethodPEP} {
			node := map[bookmarks.Method]string{bookmarks.MethodNative: bookmarks.NS, bookmarks.MethodPEP: bookmarks.NSOld}[method]
			c, setup := newClient(t, options{Config: bookmarks.Config{Method: method, AutoJoin: bookmarks.AutoJoinNever}})
			srv.Client(t, setup)
			integration.Befriend(t, ctx, c.s, romeo)
			p, err := pubsub.Of(c.s)
			must(t, err)
			r, err := pubsub.Of(romeo)
			must(t, err)
			_, made := p.CreateNode(ctx, xmpp.JID{}, node, pubsub.NewOptions(pubsub.AccessModel, "open", pubsub.PersistItems, "true"))
			o, err := p.Configuration(ctx, xmpp.JID{}, node)
			t.Logf("%v at %s: made openly: %v; the node is %v, %v", method, srv.Kind, made, o.Get(pubsub.AccessModel), err)
			must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("garden"), Password: "secret"}))
			o, err = p.Configuration(ctx, xmpp.JID{}, node)
			if err != nil || o.Get(pubsub.AccessModel) != "whitelist" {
				t.Errorf("%v: the node is %v, %v", method, o, err)
			}
			for _, n := range []string{bookmarks.NS, bookmarks.NSOld} {
				items, err := r.Items(ctx, c.s.MyJID().Bare(), n, nil)
				if err == nil || len(items) > 0 {
					t.Errorf("%v: a contact reads %s: %v, %v", method, n, items, err)
				}
			}
			_ = c.s.Close(ctx)
		}
		_ = romeo.Close(ctx)
	})
}

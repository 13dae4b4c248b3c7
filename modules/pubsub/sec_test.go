package pubsub_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestSec_ORG09: an event is told by the one whose node it is about, and by nobody else (CVE-2023-28686).
func TestSec_ORG09(t *testing.T) {
	inBubble(t, pubsub.Config{}, func(p *pubsub.PubSub, heard *events, step func(string) string) {
		p.Notify(tuneNode, nil, heard.handler("notified"))
		for name, xml := range map[string]string{
			"a client of a contact":                event("romeo@example.test/orchard", aTune),
			"another client of ours":               event("juliet@example.test/other", aTune),
			"a client that poses as the server":    event("example.test/x", aTune),
			"an occupant of a room":                event("room@muc.example.test/mallory", aTune),
			"an event that came back":              "<message from='romeo@example.test' type='error'><event xmlns='http://jabber.org/protocol/pubsub#event'>" + aTune + "</event><error type='cancel'/></message>",
			"what is said in a room":               "<message from='room@muc.example.test' type='groupchat'><event xmlns='http://jabber.org/protocol/pubsub#event'>" + aTune + "</event></message>",
			"an event that is quoted":              "<message from='romeo@example.test'><forwarded xmlns='urn:xmpp:forward:0'>" + event("juliet@example.test", aTune) + "</forwarded></message>",
			"an event of another namespace":        "<message from='romeo@example.test'><event xmlns='http://jabber.org/protocol/pubsub'>" + aTune + "</event></message>",
			"an event in an event":                 "<message from='romeo@example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'><event>" + aTune + "</event></event></message>",
			"what an attribute with a prefix says": "<message xmlns:q='q' from='romeo@example.test/x' q:from='romeo@example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'>" + aTune + "</event></message>",
		} {
			if got := step(xml); got != "" {
				t.Errorf("%s: heard %q", name, got)
			}
		}
		// A contact's event says nothing about anybody else, whatever is written in it.
		for _, xml := range []string{
			event("mallory@example.test", "<items node='http://jabber.org/protocol/tune' jid='juliet@example.test' from='juliet@example.test'><item id='1' publisher='juliet@example.test'/></items>"),
		} {
			got := step(xml)
			if heard.last.Service != xmpp.MustParseJID("mallory@example.test") {
				t.Errorf("%s: %q", xml, got)
			}
		}
	})
}

// TestSec_ORG09_Servers sends forged events through real servers: as a client, which is what an attacker is.
func TestSec_ORG09_Servers(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		p, victim, _ := realClient(t, srv)
		heard := new(events)
		p.AddDelegate(pubsub.Delegate{Items: heard, Node: heard}, nil)
		p.Notify(tuneNode, nil, heard.handler("notified"))
		mallory := srv.Client(t)
		got := make(chan struct{}, 1)
		victim.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
			if m.Body() == "that was all" {
				got <- struct{}{}
			}
		})})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, to := range []xmpp.JID{victim.MyJID(), victim.MyJID().Bare()} {
			for _, typ := range []stanza.MessageType{stanza.Headline, stanza.Normal, stanza.Chat} {
				m := stanza.NewMessage(typ, to, "")
				m.Add(stanza.New("event", pubsub.NSEvent).C("items").A("node", tuneNode).C("item").A("id", "1").Add(stanza.Raw(tune("forged"))))
				if err := mallory.Send(ctx, m); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := mallory.Send(ctx, stanza.NewMessage(stanza.Chat, victim.MyJID(), "that was all")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-got:
		case <-ctx.Done():
			t.Fatal("the end has not come")
		}
		if list := heard.take(); list != "" {
			t.Error("heard", list)
		}
	})
}

// TestSec_ORG10: what is private is not published where it would not be (CVE-2018-6591).
func TestSec_ORG10(t *testing.T) {
	const (
		disco = `
			C: <iq to='juliet@example.test' id='{info}' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
			S: <iq from='juliet@example.test' id='{info}' type='result'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='http://jabber.org/protocol/pubsub#publish'/>`
		able = disco + `<feature var='http://jabber.org/protocol/pubsub#publish-options'/></query></iq>`
		form = `<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#TYPE</value></field>
			<field var='pubsub#access_model'><value>whitelist</value></field><field var='pubsub#persist_items'><value>true</value></field></x>`
		missing = `<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
		denied  = `<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
	)
	look := func(id, model string) string {
		s := `
			C: <iq id='{` + id + `}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='storage:bookmarks'/></pubsub></iq>`
		if model == "" {
			return s + `
			S: <iq id='{` + id + `}' type='error'>` + missing + `</iq>`
		}
		return s + `
			S: <iq id='{` + id + `}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='storage:bookmarks'><x xmlns='jabber:x:data' type='form'>
			     <field var='pubsub#access_model' type='list-single'><value>` + model + `</value></field><field var='pubsub#persist_items' type='boolean'><value>1</value></field></x></configure></pubsub></iq>`
	}
	create := func(answer string) string {
		return `
			C: <iq id='{create}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='storage:bookmarks'/><configure>` + typed(form, "node_config") + `</configure></pubsub></iq>
			S: <iq id='{create}' ` + answer
	}
	configure := func(id, answer string) string {
		return `
			C: <iq id='{` + id + `}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='storage:bookmarks'>` + typed(form, "node_config") + `</configure></pubsub></iq>
			S: <iq id='{` + id + `}' ` + answer
	}
	publish := func(id, answer string) string {
		return `
			C: <iq id='{` + id + `}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='storage:bookmarks'><item id='current'><tune xmlns='http://jabber.org/protocol/tune'><title>secret</title></tune></item></publish>
			     <publish-options>` + typed(form, "publish-options") + `</publish-options></pubsub></iq>
			S: <iq id='{` + id + `}' ` + answer
	}
	const fine, refused = `type='result'/>`, `type='error'>` + denied + `</iq>`
	differs := `type='error'>` + mismatch + `</iq>`
	for _, tt := range []struct {
		name, transcript string
		err              error
	}{
		{"options are not announced", disco + "</query></iq>", pubsub.ErrNoPublishOptions},
		{"the node is made", able + look("q1", "") + create(fine) + look("q2", "whitelist") + publish("q3", fine), nil},
		{"the node is made by another client meanwhile", able + look("q1", "") + create(`type='error'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`) + look("q2", "whitelist") + publish("q3", fine), nil},
		{"the node is private", able + look("q1", "whitelist") + publish("q3", fine), nil},
		{"the node is open, and changed", able + look("q1", "open") + configure("q2", fine) + look("q3", "whitelist") + publish("q4", fine), nil},
		{"the server says it has made it private, and it stays open", able + look("q1", "") + create(fine) + look("q2", "presence") + configure("q3", fine) + look("q4", "presence"), pubsub.ErrNotHonoured},
		{"the server says it has changed it, and has not", able + look("q1", "presence") + configure("q2", fine) + look("q3", "presence"), pubsub.ErrNotHonoured},
		{"it may not be changed", able + look("q1", "open") + configure("q2", refused), stanza.Forbidden},
		{"it may not be made", able + look("q1", "") + create(refused), stanza.Forbidden},
		{"it is changed in between by another client", able + look("q1", "whitelist") + publish("q2", differs) + configure("q3", fine) + look("q4", "whitelist") + publish("q5", fine), nil},
		{"it is changed in between and stays so", able + look("q1", "whitelist") + publish("q2", differs) + configure("q3", fine) + look("q4", "open"), pubsub.ErrNotHonoured},
		{"it is changed in between again", able + look("q1", "whitelist") + publish("q2", differs) + configure("q3", fine) + look("q4", "whitelist") + publish("q5", differs), pubsub.PreconditionNotMet},
		{"an answer without a form", able + `
			C: <iq id='{q1}' type='get'>*</iq>
			S: <iq id='{q1}' type='result'/>`, pubsub.ErrAnswer},
		{"an answer that says both", able + strings.Replace(look("q1", "whitelist"), "<field var='pubsub#persist_items'", "<field var='pubsub#access_model'><value>open</value></field><field var='pubsub#persist_items'", 1), pubsub.ErrAnswer},
		{"an answer with two values", able + strings.Replace(look("q1", "whitelist"), "<value>whitelist</value>", "<value>whitelist</value><value>open</value>", 1) + configure("q2", refused), stanza.Forbidden},
		{"an answer about another node", able + strings.Replace(look("q1", "whitelist"), "#owner'><configure node='storage:bookmarks'><x", "#owner'><configure node='other'><x", 1), pubsub.ErrAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			p, s, peer := pair(t, pubsub.Config{})
			peer.While(func() {
				_, err := p.Publish(t.Context(), pep, "storage:bookmarks", pubsub.Item{ID: "current", Payload: tune("secret")}, pubsub.PrivateOptions())
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Errorf("%v, want %v", err, tt.err)
				}
				// Nothing more has been sent.
				go func() {
					_ = s.Send(context.Background(), stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("a@example.test"), "end"))
				}()
			}, tt.transcript+`
				C: <message to='a@example.test' id='*' type='chat'><body>end</body></message>`)
		})
	}
	t.Run("once a session", func(t *testing.T) {
		checkGoroutines(t)
		p, _, peer := pair(t, pubsub.Config{})
		call := func() {
			if _, err := p.Publish(t.Context(), pep, "storage:bookmarks", pubsub.Item{ID: "current", Payload: tune("secret")}, pubsub.PrivateOptions()); err != nil {
				t.Error(err)
			}
		}
		peer.While(call, able+look("q1", "whitelist")+publish("q2", fine))
		peer.While(call, publish("q3", fine))
	})
	t.Run("without leave to change", func(t *testing.T) {
		checkGoroutines(t)
		p, _, peer := pair(t, pubsub.Config{})
		o := pubsub.PrivateOptions()
		o.Reconfigure = false
		peer.While(func() {
			if _, err := p.Publish(t.Context(), pep, "storage:bookmarks", pubsub.Item{ID: "current", Payload: tune("secret")}, o); !errors.Is(err, pubsub.ErrNotHonoured) || !errors.Is(err, pubsub.PreconditionNotMet) {
				t.Error(err)
			}
		}, able+look("q1", "open"))
	})
}

// typed gives a form its type.
func typed(form, typ string) string { return strings.Replace(form, "#TYPE", "#"+typ, 1) }

// TestSec_ORG09_Strangers: what anybody's server sends unasked is not told, be it an event or a request for leave.
func TestSec_ORG09_Strangers(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		p, s, peer := pair(t, pubsub.Config{})
		if err := (&contacts{list: []string{"romeo@example.test"}, known: true}).Activate(s); err != nil {
			t.Fatal(err)
		}
		heard := new(events)
		p.AddDelegate(pubsub.Delegate{Items: heard, Node: heard, Configuration: heard, Subscription: heard}, nil)
		p.Notify(tuneNode, nil, heard.handler("notified"))
		step := func(xml string) string {
			peer.Inject(xml)
			synctest.Wait()
			return heard.take()
		}
		for name, xml := range map[string]string{
			"an account elsewhere":                  event("mallory@evil.example", aTune),
			"a service elsewhere":                   event("evil.example", aTune),
			"a service that sounds like the own":    event("pubsubexample.test", aTune),
			"an account of the server, no contact":  event("mallory@example.test", aTune),
			"a node that was deleted elsewhere":     event("evil.example", "<delete node='n'><redirect uri='xmpp:evil.example'/></delete>"),
			"a subscription that was never made":    event("evil.example", "<subscription node='n' jid='juliet@example.test' subscription='subscribed'/>"),
			"a request for leave of another domain": request("evil.example", fields),
			"a request for leave of a client":       request("pubsub.example.test/x", fields),
			"a request for leave of a contact's":    request("romeo@example.test/x", fields),
			"a request that says two things":        request("pubsub.example.test", fields+"<field var='pubsub#node'><value>m</value></field>"),
			"a request for nobody":                  request("pubsub.example.test", "<field var='pubsub#node'><value>n</value></field>"),
			"a request about nothing":               request("pubsub.example.test", strings.Replace(fields, "<value>n</value>", "", 1)),
			"a request that came back":              strings.Replace(request("pubsub.example.test", fields), "<message ", "<message type='error' ", 1),
			"a request in a room":                   strings.Replace(request("room@muc.example.test", fields), "<message ", "<message type='groupchat' ", 1),
			"an answer for a request":               strings.Replace(request("pubsub.example.test", fields), "type='form'", "type='submit'", 1),
		} {
			if got := step(xml); got != "" {
				t.Errorf("%s: heard %q", name, got)
			}
		}
		for xml, want := range map[string]string{
			event("romeo@example.test", aTune):     "items 1=a romeo@example.test " + tuneNode,
			event("pubsub.example.test", aTune):    "items 1=a pubsub.example.test " + tuneNode,
			request("pubsub.example.test", fields): "asked romeo@example.test pubsub.example.test n",
		} {
			if got := step(xml); !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", xml, got, want)
			}
		}
		s.Disconnect()
	})
}

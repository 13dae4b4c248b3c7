package bookmarks_test

import (
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const (
	discoAble = `
		C: <iq to='juliet@example.test' id='{info}' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
		S: <iq from='juliet@example.test' id='{info}' type='result'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='http://jabber.org/protocol/pubsub#publish'/>
		     <feature var='http://jabber.org/protocol/pubsub#publish-options'/><feature var='urn:xmpp:bookmarks:1#compat'/></query></iq>`
	missing = `<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
	fields  = `<field var='pubsub#access_model'><value>whitelist</value></field><field var='pubsub#max_items'><value>max</value></field>
		<field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#send_last_published_item'><value>never</value></field>`
	oldFields = `<field var='pubsub#access_model'><value>whitelist</value></field><field var='pubsub#persist_items'><value>true</value></field>`
)

func submit(typ, fields string) string {
	return `<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#` + typ + `</value></field>` + fields + `</x>`
}

// make is how a node comes to be that nobody else may read, before anything is published at it.
func makeNode(node, fields string) string {
	get := func(id string) string {
		return `
		C: <iq id='{` + id + `}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='` + node + `'/></pubsub></iq>`
	}
	return get("c1") + `
		S: <iq id='{c1}' type='error'>` + missing + `</iq>
		C: <iq id='{c2}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='` + node + `'/><configure>` + submit("node_config", fields) + `</configure></pubsub></iq>
		S: <iq id='{c2}' type='result'/>` + get("c3") + `
		S: <iq id='{c3}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='` + node + `'><x xmlns='jabber:x:data' type='form'>` + fields + `</x></configure></pubsub></iq>`
}

// TestWire is XEP-0402 sections 3.1 to 3.6, word for word: the list, a bookmark with all that there is, one that is changed, and one that is removed.
func TestWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bookmarks.New(bookmarks.Config{NoAutoFetch: true})
		_, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, b.Activate(s)) })
		ctx := t.Context()
		items := func(id, ids, found string) string {
			return `
		C: <iq id='{` + id + `}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'>` + ids + `</items></pubsub></iq>
		S: <iq id='{` + id + `}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'>` + found + `</items></pubsub></iq>`
		}
		publish := func(id, payload string) string {
			return `
		C: <iq id='{` + id + `}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'><item id='orchard@chat.shakespeare.lit'>` + payload + `</item></publish>
		     <publish-options>` + submit("publish-options", fields) + `</publish-options></pubsub></iq>
		S: <iq id='{` + id + `}' type='result'/>`
		}
		peer.While(func() { must(t, b.Fetch(ctx)) }, discoAble+`
		C: <iq id='{c0}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='urn:xmpp:bookmarks:1'/></pubsub></iq>
		S: <iq id='{c0}' type='error'>`+missing+`</iq>`+items("a", "", `
			<item id='theplay@conference.shakespeare.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='The Play&apos;s the Thing' autojoin='true'><nick>JC</nick></conference></item>
			<item id='orchard@conference.shakespeare.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='The Orcard' autojoin='1'><nick>JC</nick><extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/></extensions></conference></item>`))
		if got, want := listOf(b), `orchard name=The Orcard nick=JC auto <state xmlns="http://myclient.example/bookmark/state" minimized="true"/>; theplay name=The Play's the Thing nick=JC auto`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		mark := bookmarks.Bookmark{JID: xmpp.MustParseJID("orchard@chat.shakespeare.lit"), Name: "The Orchard", Nick: "JC", Password: "<pw>", AutoJoin: true}
		mark.SetExtension(stanza.New("state", "http://myclient.example/bookmark/state").A("minimized", "true"))
		const item = `<item id='orchard@chat.shakespeare.lit'/>`
		peer.While(func() { must(t, b.Set(ctx, mark)) }, items("b", item, "")+makeNode(bookmarks.NS, fields)+publish("c",
			`<conference xmlns='urn:xmpp:bookmarks:1' name='The Orchard' autojoin='true'><nick>JC</nick><password>&lt;pw&gt;</password><extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/></extensions></conference>`))
		peer.While(func() { must(t, b.Set(ctx, bookmarks.Bookmark{JID: mark.JID})) }, items("d", item,
			`<item id='orchard@chat.shakespeare.lit'><q:conference xmlns:q='urn:xmpp:bookmarks:1' name='The Orchard' autojoin='true'><q:nick>JC</q:nick><q:extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/><other xmlns='urn:other'/></q:extensions></q:conference></item>`)+
			publish("e", `<conference xmlns='urn:xmpp:bookmarks:1' autojoin='false'><extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/><other xmlns='urn:other'/></extensions></conference>`))
		if got := listOf(b); got != `orchard <state xmlns="http://myclient.example/bookmark/state" minimized="true"/> <other xmlns="urn:other"/>; orchard name=The Orcard nick=JC auto <state xmlns="http://myclient.example/bookmark/state" minimized="true"/>; theplay name=The Play's the Thing nick=JC auto` {
			t.Errorf("got %s", got)
		}
		peer.While(func() { must(t, b.Remove(ctx, mark.JID)) }, items("f", item, `<item id='orchard@chat.shakespeare.lit'><conference xmlns='urn:xmpp:bookmarks:1'/></item>`)+`
		C: <iq id='{g}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='urn:xmpp:bookmarks:1' notify='true'>`+item+`</retract></pubsub></iq>
		S: <iq id='{g}' type='result'/>`)
		if b.Len() != 2 {
			t.Errorf("%d bookmarks", b.Len())
		}
	})
}

// TestWireOld is XEP-0048 sections 3 and 4, with the options of XEP-0223.
func TestWireOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bookmarks.New(bookmarks.Config{Method: bookmarks.MethodPEP, NoAutoFetch: true})
		_, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, b.Activate(s)) })
		peer.While(func() {
			must(t, b.Set(t.Context(), bookmarks.Bookmark{JID: xmpp.MustParseJID("theplay@conference.shakespeare.lit"), Name: "The Play's the Thing", Nick: "JC", AutoJoin: true}))
		}, `
		C: <iq id='{a}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'/></pubsub></iq>
		S: <iq id='{a}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'><item id='other'><storage xmlns='storage:bookmarks'/></item><item id='current'>
		     <storage xmlns='storage:bookmarks'><url name='Complete Works' url='http://the-tech.mit.edu/Shakespeare/'/><conference jid='Theplay@Conference.Shakespeare.Lit'><note xmlns='urn:x'/></conference>
		     <conference jid='theplay@conference.shakespeare.lit' name='twice'/><unknown/></storage></item></items></pubsub></iq>`+discoAble+makeNode(bookmarks.NSOld, oldFields)+`
		C: <iq id='{b}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='storage:bookmarks'><item id='current'><storage xmlns='storage:bookmarks'>
		     <url name='Complete Works' url='http://the-tech.mit.edu/Shakespeare/'/><conference jid='theplay@conference.shakespeare.lit' name='The Play&apos;s the Thing' autojoin='true'><nick>JC</nick><note xmlns='urn:x'/></conference><unknown/>
		     </storage></item></publish><publish-options>`+submit("publish-options", oldFields)+`</publish-options></pubsub></iq>
		S: <iq id='{b}' type='result'/>`)
	})
}

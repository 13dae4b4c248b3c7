package vcard_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	card4 = `<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>a</text></fn></vcard>`
	items = `<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4'>`
	after = `</items></pubsub>`
)

// TestFetchVCard4 is XEP-0292 section 4, over PEP and over a plain request.
func TestFetchVCard4(t *testing.T) {
	checkGoroutines(t)
	v, s, peer, _ := pair(t, vcard.Config{})
	const ask = `<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4' max_items='1'/></pubsub>`
	tests := []struct {
		name   string
		of     xmpp.JID
		answer string
		want   error
	}{
		{"a contact", romeo, items + `<item id='current'>` + card4 + `</item>` + after, nil},
		{"the last item", romeo, items + `<item id='1'><vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/></item><item id='current'>` + card4 + `</item>` + after, nil},
		{"empty", romeo, items + `<item id='current'><vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/></item>` + after, vcard.ErrNoVCard},
		{"no items", romeo, items + after, vcard.ErrNoVCard},
		{"no node", romeo, `error cancel item-not-found`, vcard.ErrNoVCard},
		{"forbidden", romeo, `error auth forbidden`, stanza.Forbidden},
		{"the own", me, items + `<item id='current'>` + card4 + `</item>` + after, nil},
	}
	for i, tt := range tests {
		id := "{id" + string(rune('a'+i)) + "}"
		to, from := "", ""
		if !tt.of.IsZero() {
			to, from = "to='romeo@example.test'", "from='romeo@example.test'"
		}
		answer := `type='result'>` + tt.answer
		switch tt.answer {
		case `error cancel item-not-found`:
			answer = `type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
		case `error auth forbidden`:
			answer = `type='error'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
		}
		peer.While(func() {
			c, err := v.FetchVCard4(t.Context(), tt.of)
			if !errors.Is(err, tt.want) || tt.want == nil && c.FormattedName() != "a" {
				t.Errorf("%s: %+v, %v", tt.name, c, err)
			}
		}, `
			C: <iq type='get' id='`+id+`' `+to+`>`+ask+`</iq>
			S: <iq `+from+` id='`+id+`' `+answer+`</iq>`)
	}
	for i, tt := range []struct {
		of     xmpp.JID
		addr   string
		answer string
		want   error
	}{
		{romeo, `to='romeo@example.test'`, card4, nil},
		{romeo, `to='romeo@example.test'`, ``, vcard.ErrNoVCard},
		{romeo, `to='romeo@example.test'`, `<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>`, vcard.ErrNoVCard},
		{s.MyJID().Bare(), ``, `<vcards xmlns='urn:ietf:params:xml:ns:vcard-4.0'><vcard><fn><text>a</text></fn></vcard></vcards>`, nil},
	} {
		id := "{iq" + string(rune('a'+i)) + "}"
		from := ""
		if tt.addr != "" {
			from = "from='romeo@example.test'"
		}
		peer.While(func() {
			c, err := v.FetchVCard4OverIQ(t.Context(), tt.of)
			if !errors.Is(err, tt.want) || tt.want == nil && c.FormattedName() != "a" {
				t.Errorf("%d: %+v, %v", i, c, err)
			}
		}, `
			C: <iq type='get' id='`+id+`' `+tt.addr+`><vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/></iq>
			S: <iq type='result' `+from+` id='`+id+`'>`+tt.answer+`</iq>`)
	}
}

func TestPublishVCard4(t *testing.T) {
	checkGoroutines(t)
	v, s, peer, _ := pair(t, vcard.Config{})
	c := new(vcard.Card4)
	c.Add(vcard.NewProperty("fn", "text", "a"))
	publish := func(model string) string {
		return `<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:vcard4'><item id='current'>` + card4 + `</item></publish>` +
			`<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>` +
			`<field var='pubsub#access_model'><value>` + model + `</value></field><field var='pubsub#persist_items'><value>true</value></field></x></publish-options></pubsub>`
	}
	peer.While(func() {
		if err := v.PublishVCard4(t.Context(), c, nil); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='get' to='juliet@example.test' id='{a}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
		S: <iq type='result' from='juliet@example.test' id='{a}'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='http://jabber.org/protocol/pubsub#publish-options'/></query></iq>
		C: <iq type='set' id='{b}'>`+publish("open")+`</iq>
		S: <iq type='result' id='{b}'/>`)
	peer.While(func() {
		if err := v.PublishVCard4(t.Context(), c, &pubsub.PublishOptions{Config: pubsub.NewOptions(pubsub.AccessModel, "presence", pubsub.PersistItems, "true")}); !errors.Is(err, stanza.NotAllowed) {
			t.Error(err)
		}
	}, `
		C: <iq type='set' id='{c}'>`+publish("presence")+`</iq>
		S: <iq type='error' id='{c}'><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	peer.While(func() {
		if err := v.PublishVCard4OverIQ(t.Context(), c); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='set' id='{d}'>`+card4+`</iq>
		S: <iq type='result' id='{d}'/>`)
	before := s.Stats().StanzasSent
	for _, bad := range []*vcard.Card4{nil, {Truncated: true}} {
		for _, err := range []error{v.PublishVCard4(t.Context(), bad, nil), v.PublishVCard4OverIQ(t.Context(), bad), v.PublishContactCard(t.Context(), romeo, bad)} {
			if !errors.Is(err, xmpp.ErrInvalidParameter) {
				t.Error(err)
			}
		}
	}
	if n := s.Stats().StanzasSent - before; n != 0 {
		t.Errorf("%d stanzas were sent", n)
	}
}

// TestContactCards is XEP-0292 section 5: kept for the own account alone, or not at all.
func TestContactCards(t *testing.T) {
	checkGoroutines(t)
	v, _, peer, _ := pair(t, vcard.Config{})
	c := new(vcard.Card4)
	c.Add(vcard.NewProperty("fn", "text", "a"))
	peer.While(func() {
		if err := v.PublishContactCard(t.Context(), romeo, c); !errors.Is(err, pubsub.ErrNoPublishOptions) {
			t.Error(err)
		}
	}, `
		C: <iq type='get' to='juliet@example.test' id='{a}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
		S: <iq type='result' from='juliet@example.test' id='{a}'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='http://jabber.org/protocol/pubsub#publish'/></query></iq>`)
	orchard := xmpp.MustParseJID("romeo@example.test/orchard")
	peer.While(func() {
		if c, err := v.FetchContactCard(t.Context(), orchard); err != nil || c.FormattedName() != "a" {
			t.Error(c, err)
		}
	}, `
		C: <iq type='get' id='{b}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:contacts'><item id='romeo@example.test'/></items></pubsub></iq>
		S: <iq type='result' id='{b}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:contacts'><item id='romeo@example.test'>`+card4+`</item></items></pubsub></iq>`)
	peer.While(func() {
		if err := v.RemoveContactCard(t.Context(), orchard); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='set' id='{c}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='urn:xmpp:contacts'><item id='romeo@example.test'/></retract></pubsub></iq>
		S: <iq type='result' id='{c}'/>`)
}

// TestNotifyVCard4 hears what others publish, from them alone.
func TestNotifyVCard4(t *testing.T) {
	checkGoroutines(t)
	v, s, peer, e := pair(t, vcard.Config{NotifyVCard4: true})
	p, ok := xmpp.ModuleOf[*pubsub.PubSub](s)
	if !ok || !slices.Contains(p.Features(), "urn:xmpp:vcard4+notify") {
		t.Fatal("the interest is not announced")
	}
	event := func(from, items string) {
		peer.Inject(`<message from='` + from + `'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:vcard4'>` + items + `</items></event></message>`)
	}
	event("romeo@example.test/forged", `<item id='current'>`+card4+`</item>`)
	event("romeo@example.test", `<item id='current'>`+card4+`</item>`)
	event("juliet@example.test", `<item id='current'>`+card4+`</item>`)
	event("romeo@example.test", `<item id='current'><other xmlns='urn:x'/></item>`)
	event("romeo@example.test", `<item id='current'/>`)
	event("romeo@example.test", `<retract id='current'/>`)
	e.want(t, "version 4 of romeo@example.test a", "version 4 of juliet@example.test a", "none of romeo@example.test", "none of romeo@example.test")
	v.Deactivate()
	if slices.Contains(p.Features(), "urn:xmpp:vcard4+notify") {
		t.Error("the interest is still announced")
	}
	if err := v.Activate(s); err != nil || !slices.Contains(p.Features(), "urn:xmpp:vcard4+notify") {
		t.Error("active again, the interest is not announced:", err)
	}
}

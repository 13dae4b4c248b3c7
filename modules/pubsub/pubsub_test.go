package pubsub_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

var pep xmpp.JID

// info is a server that announces options.
const info = `
	C: <iq to='juliet@example.test' id='{info}' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
	S: <iq from='juliet@example.test' id='{info}' type='result'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='http://jabber.org/protocol/pubsub#publish-options'/></query></iq>`

const options = `<publish-options><x xmlns='jabber:x:data' type='submit'>
	<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>
	<field var='pubsub#access_model'><value>open</value></field><field var='pubsub#persist_items'><value>true</value></field></x></publish-options>`

const config = `<x xmlns='jabber:x:data' type='submit'>
	<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field>
	<field var='pubsub#access_model'><value>open</value></field><field var='pubsub#persist_items'><value>true</value></field></x>`

const mismatch = `<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><precondition-not-met xmlns='http://jabber.org/protocol/pubsub#errors'/></error>`

// TestRequests are the requests of XEP-0060 sections 6.5, 7.1, 7.2, 8.1, 8.2, 8.4 and 8.5.
func TestRequests(t *testing.T) {
	checkGoroutines(t)
	p, _, peer := pair(t, pubsub.Config{})
	svc := xmpp.MustParseJID("pubsub.example.test")
	romeo := xmpp.MustParseJID("romeo@example.test")
	publish := func(to xmpp.JID, i pubsub.Item) func(context.Context) (any, error) {
		return func(ctx context.Context) (any, error) { return p.Publish(ctx, to, tuneNode, i, nil) }
	}
	items := func(to xmpp.JID, o *pubsub.ItemsOptions) func(context.Context) (any, error) {
		return func(ctx context.Context) (any, error) {
			list, err := p.Items(ctx, to, tuneNode, o)
			var out string
			for _, i := range list {
				out += i.ID + "=" + stanza.ChildText(i.Payload, "title", tuneNode) + "(" + i.Publisher.String() + ")"
			}
			return out, err
		}
	}
	for _, tt := range []struct {
		name       string
		call       func(context.Context) (any, error)
		transcript string
		want       any
		err        error
	}{
		{"publish, the id is the service's", publish(pep, pubsub.Item{Payload: tune("a")}), `
			C: <iq id='{a}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='http://jabber.org/protocol/tune'><item><tune xmlns='http://jabber.org/protocol/tune'><title>a</title></tune></item></publish></pubsub></iq>
			S: <iq id='{a}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='http://jabber.org/protocol/tune'><item id='made'/></publish></pubsub></iq>`, "made", nil},
		{"publish, the id is ours", publish(svc, pubsub.Item{ID: "current", Payload: tune("b")}), `
			C: <iq to='pubsub.example.test' id='{b}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='http://jabber.org/protocol/tune'><item id='current'><tune xmlns='http://jabber.org/protocol/tune'><title>b</title></tune></item></publish></pubsub></iq>
			S: <iq from='pubsub.example.test' id='{b}' type='result'/>`, "current", nil},
		{"publish nothing", publish(svc, pubsub.Item{}), `
			C: <iq to='pubsub.example.test' id='{c}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='http://jabber.org/protocol/tune'><item/></publish></pubsub></iq>
			S: <iq from='pubsub.example.test' id='{c}' type='error'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><payload-required xmlns='http://jabber.org/protocol/pubsub#errors'/></error></iq>`, "", pubsub.PayloadRequired},
		{"items", items(romeo, nil), `
			C: <iq to='romeo@example.test' id='{d}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/tune'/></pubsub></iq>
			S: <iq from='romeo@example.test' id='{d}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/tune'>
			     <item id='1' publisher='romeo@example.test/x'><tune xmlns='http://jabber.org/protocol/tune'><title>a</title></tune></item><item id='2' publisher='@'/></items></pubsub></iq>`, "1=a(romeo@example.test/x)2=()", nil},
		{"the last item", items(pep, &pubsub.ItemsOptions{Max: 1}), `
			C: <iq id='{e}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/tune' max_items='1'/></pubsub></iq>
			S: <iq id='{e}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/tune'/></pubsub></iq>`, "", nil},
		{"items by id, and one that was not asked for", items(pep, &pubsub.ItemsOptions{IDs: []string{"1", "2"}}), `
			C: <iq id='{f}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/tune'><item id='1'/><item id='2'/></items></pubsub></iq>
			S: <iq id='{f}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/tune'><item id='2'/><item id='3'/></items></pubsub></iq>`, "2=()", nil},
		{"items of another node", items(pep, nil), `
			C: <iq id='{g}' type='get'>*</iq>
			S: <iq id='{g}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='other'/></pubsub></iq>`, "", pubsub.ErrAnswer},
		{"items, and no answer to that", items(pep, nil), `
			C: <iq id='{h}' type='get'>*</iq>
			S: <iq id='{h}' type='result'/>`, "", pubsub.ErrAnswer},
		{"items of a closed node", items(romeo, nil), `
			C: <iq to='romeo@example.test' id='{i}' type='get'>*</iq>
			S: <iq from='romeo@example.test' id='{i}' type='error'><error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><presence-subscription-required xmlns='http://jabber.org/protocol/pubsub#errors'/></error></iq>`, "", pubsub.PresenceSubscriptionRequired},
		{"retract", func(ctx context.Context) (any, error) { return nil, p.Retract(ctx, pep, tuneNode, "1", true) }, `
			C: <iq id='{j}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='http://jabber.org/protocol/tune' notify='true'><item id='1'/></retract></pubsub></iq>
			S: <iq id='{j}' type='result'/>`, nil, nil},
		{"retract quietly what is not there", func(ctx context.Context) (any, error) { return nil, p.Retract(ctx, svc, tuneNode, "1", false) }, `
			C: <iq to='pubsub.example.test' id='{k}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='http://jabber.org/protocol/tune'><item id='1'/></retract></pubsub></iq>
			S: <iq from='pubsub.example.test' id='{k}' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`, nil, stanza.ItemNotFound},
		{"purge", func(ctx context.Context) (any, error) { return nil, p.Purge(ctx, pep, tuneNode) }, `
			C: <iq id='{l}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><purge node='http://jabber.org/protocol/tune'/></pubsub></iq>
			S: <iq id='{l}' type='error'><error type='cancel'><feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><unsupported xmlns='http://jabber.org/protocol/pubsub#errors' feature='purge-nodes'/></error></iq>`, nil, pubsub.Unsupported},
		{"delete", func(ctx context.Context) (any, error) { return nil, p.DeleteNode(ctx, pep, tuneNode) }, `
			C: <iq id='{m}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='http://jabber.org/protocol/tune'/></pubsub></iq>
			S: <iq id='{m}' type='result'/>`, nil, nil},
		{"create an instant node", func(ctx context.Context) (any, error) { return p.CreateNode(ctx, svc, "", nil) }, `
			C: <iq to='pubsub.example.test' id='{n}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create/></pubsub></iq>
			S: <iq from='pubsub.example.test' id='{n}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='25e3d37dabbab9541f7523321421edc5bfeb2dae'/></pubsub></iq>`, "25e3d37dabbab9541f7523321421edc5bfeb2dae", nil},
		{"create and configure", func(ctx context.Context) (any, error) {
			return p.CreateNode(ctx, svc, "n", pubsub.Options{pubsub.Title: {"<T>"}, "pubsub#roster_groups_allowed": {"a", "b"}, "pubsub#none": nil})
		}, `
			C: <iq to='pubsub.example.test' id='{o}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='n'/><configure><x xmlns='jabber:x:data' type='submit'>
			     <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#none'/>
			     <field var='pubsub#roster_groups_allowed'><value>a</value><value>b</value></field><field var='pubsub#title'><value>&lt;T></value></field></x></configure></pubsub></iq>
			S: <iq from='pubsub.example.test' id='{o}' type='error'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`, "", stanza.Conflict},
		{"configuration", func(ctx context.Context) (any, error) {
			o, err := p.Configuration(ctx, svc, "n")
			return o.Get(pubsub.Title) + "," + o.Get("pubsub#none") + "," + o.Get("FORM_TYPE"), err
		}, `
			C: <iq to='pubsub.example.test' id='{p}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='n'/></pubsub></iq>
			S: <iq from='pubsub.example.test' id='{p}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='n'><x xmlns='jabber:x:data' type='form'>
			     <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field><field type='fixed'><value>?</value></field>
			     <field var='pubsub#title'><value>T</value></field></x></configure></pubsub></iq>`, "T,,", nil},
		{"configuration without a form", func(ctx context.Context) (any, error) { _, err := p.Configuration(ctx, svc, "n"); return nil, err }, `
			C: <iq to='pubsub.example.test' id='{q}' type='get'>*</iq>
			S: <iq from='pubsub.example.test' id='{q}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='n'/></pubsub></iq>`, nil, pubsub.ErrAnswer},
		{"an answer of somebody else", items(romeo, nil), `
			C: <iq to='romeo@example.test' id='{r}' type='get'>*</iq>
			S: <iq from='mallory@example.test' id='{r}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/tune'><item id='evil'/></items></pubsub></iq>
			S: <iq from='romeo@example.test' id='{r}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/tune'/></pubsub></iq>`, "", nil},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		peer.While(func() {
			got, err := tt.call(ctx)
			if got != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("%s: %v, %v; want %v, %v", tt.name, got, err, tt.want, tt.err)
			}
			var pe *pubsub.Error
			if errors.As(err, &pe) && (pe.Err == nil || errors.Is(pe, pubsub.ClosedNode)) {
				t.Errorf("%s: %#v", tt.name, pe)
			}
			if errors.Is(err, pubsub.Unsupported) && (pe.Feature != "purge-nodes" || !errors.Is(err, stanza.FeatureNotImplemented)) {
				t.Errorf("%s: %v %q", tt.name, err, pe.Feature)
			}
		}, tt.transcript)
		cancel()
	}
}

// TestOptions is XEP-0060 section 7.1.5: what becomes of options.
func TestOptions(t *testing.T) {
	checkGoroutines(t)
	p, _, peer := pair(t, pubsub.Config{})
	publish := func(o *pubsub.PublishOptions, want string, wantErr error) func() {
		return func() {
			t.Helper()
			id, err := p.Publish(t.Context(), pep, "n", pubsub.Item{ID: "1", Payload: tune("a")}, o)
			if id != want || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
				t.Errorf("%q, %v; want %q, %v", id, err, want, wantErr)
			}
		}
	}
	request := func(id string) string {
		return `
			C: <iq id='{` + id + `}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item id='1'><tune xmlns='http://jabber.org/protocol/tune'><title>a</title></tune></item></publish>` + options + `</pubsub></iq>`
	}
	keep := pubsub.PublicOptions()
	keep.Reconfigure = false
	peer.While(publish(keep, "1", nil), info+request("a")+`
		S: <iq id='{a}' type='result'/>`)
	// What the service can is asked once.
	peer.While(publish(keep, "", pubsub.PreconditionNotMet), request("b")+`
		S: <iq id='{b}' type='error'>`+mismatch+`</iq>`)
	peer.While(publish(pubsub.PublicOptions(), "1", nil), request("c")+`
		S: <iq id='{c}' type='error'>`+mismatch+`</iq>
		C: <iq id='{d}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='n'>`+config+`</configure></pubsub></iq>
		S: <iq id='{d}' type='result'/>`+request("e")+`
		S: <iq id='{e}' type='result'/>`)
	// It is changed and tried again once.
	peer.While(publish(pubsub.PublicOptions(), "", pubsub.PreconditionNotMet), request("f")+`
		S: <iq id='{f}' type='error'>`+mismatch+`</iq>
		C: <iq id='{g}' type='set'>*</iq>
		S: <iq id='{g}' type='result'/>`+request("h")+`
		S: <iq id='{h}' type='error'>`+mismatch+`</iq>`)
	// It may not be changed: both reasons are told.
	peer.While(publish(pubsub.PublicOptions(), "", stanza.Forbidden), request("i")+`
		S: <iq id='{i}' type='error'>`+mismatch+`</iq>
		C: <iq id='{j}' type='set'>*</iq>
		S: <iq id='{j}' type='error'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	// Without options nobody is asked.
	peer.While(publish(&pubsub.PublishOptions{Verify: true}, "1", nil), `
		C: <iq id='{k}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item id='1'>*</item></publish></pubsub></iq>
		S: <iq id='{k}' type='result'/>`)
}

// TestServiceFeatures: the account announces what it can, or, on some servers, the domain does; a new session asks again.
func TestServiceFeatures(t *testing.T) {
	checkGoroutines(t)
	p, _, peer := pair(t, pubsub.Config{})
	supports := func(want bool, wantErr error) func() {
		return func() {
			t.Helper()
			if ok, err := p.Supports(t.Context(), pep, "publish-options"); ok != want || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
				t.Errorf("%v, %v", ok, err)
			}
		}
	}
	peer.While(supports(false, stanza.ServiceUnavailable), `
		C: <iq to='juliet@example.test' id='{a}' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
		S: <iq from='juliet@example.test' id='{a}' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
		C: <iq to='example.test' id='{b}' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
		S: <iq from='example.test' id='{b}' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	peer.While(supports(true, nil), `
		C: <iq to='juliet@example.test' id='{c}' type='get'>*</iq>
		S: <iq from='juliet@example.test' id='{c}' type='result'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='x'/></query></iq>
		C: <iq to='example.test' id='{d}' type='get'>*</iq>
		S: <iq from='example.test' id='{d}' type='result'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='http://jabber.org/protocol/pubsub#publish-options'/></query></iq>`)
	supports(true, nil)()
	if f, err := p.ServiceFeatures(t.Context(), pep); err != nil || !slices.Equal(f, []string{"x", pubsub.NS + "#publish-options"}) {
		t.Error(f, err)
	}
	p.ReceiveSession(t.Context(), xmpp.SessionResumed)
	supports(true, nil)()
	p.ReceiveSession(t.Context(), xmpp.SessionNew)
	peer.While(supports(true, nil), info)
}

func TestModule(t *testing.T) {
	checkGoroutines(t)
	p, s, _ := pair(t, pubsub.Config{})
	if got, err := pubsub.Of(s); got != p || err != nil {
		t.Error(got, err)
	}
	var _ xmpp.FeatureProvider = p
	xmpptest.CheckDelegate(t, p)
	xmpptest.CheckDelegate(t, new(events), (*pubsub.ItemsDelegate)(nil), (*pubsub.NodeDelegate)(nil), (*pubsub.ConfigurationDelegate)(nil), (*pubsub.SubscriptionDelegate)(nil))
	p.Deactivate()
	if _, err := p.Items(t.Context(), pep, "n", nil); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Error(err)
	}
	if _, err := p.ServiceFeatures(t.Context(), pep); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Error(err)
	}
	other, err := pubsub.Of(s)
	if err != nil || other == p || other.Stream() != s {
		t.Error(other, err)
	}
	for name, d := range map[string]pubsub.Delegate{"nothing": {}, "nil pointer": {Items: (*events)(nil)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AddDelegate takes %s", name)
				}
			}()
			p.AddDelegate(d, nil)
		}()
	}
	defer func() {
		if recover() == nil {
			t.Error("NewOptions takes a name without a value")
		}
	}()
	pubsub.NewOptions(strings.Fields("a")...)
}

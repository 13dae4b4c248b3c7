package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

var (
	svc   = xmpp.MustParseJID("pubsub.example.test")
	romeo = xmpp.MustParseJID("romeo@example.test")
)

// exchange is one call, the request that it makes, the answer to that, and what comes of it.
type exchange struct {
	name            string
	call            func(context.Context, *pubsub.PubSub) (any, error)
	request, answer string // the payloads; an answer that begins with "<error" is one
	want            string // as %v
	err             error
}

// exchanges plays them with a service.
func exchanges(t *testing.T, list []exchange) {
	t.Helper()
	checkGoroutines(t)
	p, _, peer := pair(t, pubsub.Config{})
	for n, tt := range list {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		typ, result := "set", "result"
		if strings.HasPrefix(tt.request, "get ") {
			typ = "get"
		}
		if strings.HasPrefix(tt.answer, "<error") {
			result = "error"
		}
		peer.While(func() {
			got, err := tt.call(ctx, p)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) || err == nil && fmt.Sprint(got) != tt.want {
				t.Errorf("%s: %v, %v; want %v, %v", tt.name, got, err, tt.want, tt.err)
			}
		}, fmt.Sprintf(`
			C: <iq to='pubsub.example.test' id='{x%[1]d}' type='%[2]s'>%[3]s</iq>
			S: <iq from='pubsub.example.test' id='{x%[1]d}' type='%[4]s'>%[5]s</iq>`, n, typ, strings.TrimPrefix(tt.request, "get "), result, tt.answer))
		cancel()
	}
}

func inPubSub(s string) string {
	return "<pubsub xmlns='http://jabber.org/protocol/pubsub'>" + s + "</pubsub>"
}
func inOwner(s string) string {
	return "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>" + s + "</pubsub>"
}

// refusal is a stanza error with a condition of XEP-0060.
func refusal(typ, condition, reason string) string {
	return "<error type='" + typ + "'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><" + reason + " xmlns='http://jabber.org/protocol/pubsub#errors'/></error>"
}

// subscribeForm is a form of options of a subscription.
func subscribeForm(typ, fields string) string {
	return "<x xmlns='jabber:x:data' type='" + typ + "'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_options</value></field>" + fields + "</x>"
}

// TestSubscriptions is XEP-0060 sections 5.6, 6.1 to 6.4 and 8.8.
func TestSubscriptions(t *testing.T) {
	deliver := "<field var='pubsub#deliver'><value>true</value></field>"
	subscribe := func(who pubsub.Subscriber, o pubsub.Options) func(context.Context, *pubsub.PubSub) (any, error) {
		return func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			s, err := p.Subscribe(ctx, svc, "n", who, o)
			return fmt.Sprint(s.Node, " ", s.JID, " ", s.SubID, " ", s.State, " ", s.Configurable, s.ConfigurationRequired), err
		}
	}
	list := func(f func(p *pubsub.PubSub) func(context.Context, xmpp.JID, string) ([]pubsub.Subscription, error), node string) func(context.Context, *pubsub.PubSub) (any, error) {
		return func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			l, err := f(p)(ctx, svc, node)
			out := ""
			for _, s := range l {
				out += fmt.Sprintf("%s %v %s %s %d;", s.Node, s.JID, s.SubID, s.State, s.Expiry.Year())
			}
			return out, err
		}
	}
	mine := func(p *pubsub.PubSub) func(context.Context, xmpp.JID, string) ([]pubsub.Subscription, error) {
		return p.Subscriptions
	}
	node := func(p *pubsub.PubSub) func(context.Context, xmpp.JID, string) ([]pubsub.Subscription, error) {
		return p.NodeSubscriptions
	}
	options := func(f func(context.Context, *pubsub.PubSub) (pubsub.Options, error)) func(context.Context, *pubsub.PubSub) (any, error) {
		return func(ctx context.Context, p *pubsub.PubSub) (any, error) { return f(ctx, p) }
	}
	exchanges(t, []exchange{
		{"subscribe", subscribe(pubsub.Subscriber{SubID: "no"}, nil), inPubSub("<subscribe node='n' jid='juliet@example.test'/>"),
			inPubSub("<subscription node='n' jid='juliet@example.test' subid='1' subscription='subscribed'/>"), "n juliet@example.test 1 subscribed false false", nil},
		{"subscribe, one client with options", subscribe(pubsub.Subscriber{JID: xmpp.MustParseJID("juliet@example.test/x")}, pubsub.NewOptions(pubsub.Deliver, "true")),
			inPubSub("<subscribe node='n' jid='juliet@example.test/x'/><options>" + subscribeForm("submit", deliver) + "</options>"),
			inPubSub("<subscription node='n' jid='juliet@example.test/x' subscription='pending'/>"), "n juliet@example.test/x  pending false false", nil},
		{"it has to be configured", subscribe(pubsub.Subscriber{}, nil), inPubSub("<subscribe node='n' jid='juliet@example.test'/>"),
			inPubSub("<subscription node='n' jid='juliet@example.test' subscription='unconfigured'><subscribe-options><required/></subscribe-options></subscription>"), "n juliet@example.test  unconfigured true true", nil},
		{"it may be", subscribe(pubsub.Subscriber{}, nil), inPubSub("<subscribe node='n' jid='juliet@example.test'/>"),
			inPubSub("<subscription node='n' jid='juliet@example.test' subscription='subscribed'><subscribe-options/></subscription>"), "n juliet@example.test  subscribed true false", nil},
		{"nothing is said", subscribe(pubsub.Subscriber{JID: romeo}, nil), inPubSub("<subscribe node='n' jid='romeo@example.test'/>"), "", "n romeo@example.test   false false", nil},
		{"about another node", subscribe(pubsub.Subscriber{}, nil), inPubSub("<subscribe node='n' jid='juliet@example.test'/>"),
			inPubSub("<subscription node='m' jid='juliet@example.test'/>"), "", pubsub.ErrAnswer},
		{"of nobody", subscribe(pubsub.Subscriber{}, nil), inPubSub("<subscribe node='n' jid='juliet@example.test'/>"), inPubSub("<subscription node='n' jid='@'/>"), "", pubsub.ErrAnswer},
		{"refused", subscribe(pubsub.Subscriber{}, nil), inPubSub("<subscribe node='n' jid='juliet@example.test'/>"), refusal("auth", "not-authorized", "presence-subscription-required"), "", pubsub.PresenceSubscriptionRequired},
		{"to all of a service", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			s, err := p.Subscribe(ctx, svc, "", pubsub.Subscriber{}, nil)
			return s.State, err
		}, inPubSub("<subscribe jid='juliet@example.test'/>"), inPubSub("<subscription jid='juliet@example.test' subscription='subscribed'/>"), "subscribed", nil},
		{"unsubscribe", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return "", p.Unsubscribe(ctx, svc, "n", pubsub.Subscriber{SubID: "1"})
		}, inPubSub("<unsubscribe node='n' jid='juliet@example.test' subid='1'/>"), "", "", nil},
		{"which one?", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return "", p.Unsubscribe(ctx, svc, "n", pubsub.Subscriber{})
		}, inPubSub("<unsubscribe node='n' jid='juliet@example.test'/>"), refusal("modify", "bad-request", "subid-required"), "", pubsub.SubIDRequired},
		{"own subscriptions", list(mine, ""), "get " + inPubSub("<subscriptions/>"),
			inPubSub("<subscriptions><subscription node='n' jid='juliet@example.test' subscription='subscribed' subid='1' expiry='2026-01-02T03:04:05Z'/><subscription node='m' jid='juliet@example.test/x' subscription='pending'/><subscription node='o'/></subscriptions>"),
			"n juliet@example.test 1 subscribed 2026;m juliet@example.test/x  pending 1;", nil},
		{"own subscriptions to a node", list(mine, "n"), "get " + inPubSub("<subscriptions node='n'/>"),
			inPubSub("<subscriptions node='n'><subscription jid='juliet@example.test' subscription='subscribed'/><subscription node='m' jid='juliet@example.test'/></subscriptions>"), "n juliet@example.test  subscribed 1;", nil},
		{"subscriptions to another node", list(mine, "n"), "get " + inPubSub("<subscriptions node='n'/>"), inPubSub("<subscriptions node='m'/>"), "", pubsub.ErrAnswer},
		{"no subscriptions", list(mine, ""), "get " + inPubSub("<subscriptions/>"), inPubSub("<subscriptions/>"), "", nil},
		{"no answer", list(mine, ""), "get " + inPubSub("<subscriptions/>"), "", "", pubsub.ErrAnswer},
		{"who is subscribed", list(node, "n"), "get " + inOwner("<subscriptions node='n'/>"),
			inOwner("<subscriptions node='n'><subscription jid='romeo@example.test' subscription='subscribed' subid='7'/></subscriptions>"), "n romeo@example.test 7 subscribed 1;", nil},
		{"change that", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return "", p.SetNodeSubscriptions(ctx, svc, "n",
				pubsub.Subscription{Subscriber: pubsub.Subscriber{JID: romeo, SubID: "7"}, State: pubsub.NoSubscription},
				pubsub.Subscription{Subscriber: pubsub.Subscriber{JID: svc}, State: pubsub.Subscribed})
		}, inOwner("<subscriptions node='n'><subscription jid='romeo@example.test' subscription='none' subid='7'/><subscription jid='pubsub.example.test' subscription='subscribed'/></subscriptions>"), "", "", nil},
		{"options", options(func(ctx context.Context, p *pubsub.PubSub) (pubsub.Options, error) {
			return p.SubscriptionOptions(ctx, svc, "n", pubsub.Subscriber{SubID: "1"})
		}), "get " + inPubSub("<options node='n' jid='juliet@example.test' subid='1'/>"),
			inPubSub("<options node='n' jid='juliet@example.test'>" + subscribeForm("form", deliver) + "</options>"), "map[pubsub#deliver:[true]]", nil},
		{"options without a form", options(func(ctx context.Context, p *pubsub.PubSub) (pubsub.Options, error) {
			return p.SubscriptionOptions(ctx, svc, "n", pubsub.Subscriber{})
		}), "get " + inPubSub("<options node='n' jid='juliet@example.test'/>"), inPubSub("<options node='n'/>"), "", pubsub.ErrAnswer},
		{"change them", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return "", p.SetSubscriptionOptions(ctx, svc, "n", pubsub.Subscriber{}, pubsub.NewOptions(pubsub.Deliver, "true"))
		}, inPubSub("<options node='n' jid='juliet@example.test'>" + subscribeForm("submit", deliver) + "</options>"), refusal("modify", "bad-request", "invalid-options"), "", pubsub.InvalidOptions},
		{"default options of a node", options(func(ctx context.Context, p *pubsub.PubSub) (pubsub.Options, error) {
			return p.DefaultSubscriptionOptions(ctx, svc, "n")
		}), "get " + inPubSub("<default node='n'/>"), inPubSub("<default node='n'>" + subscribeForm("form", deliver+"<field var='a'/>") + "</default>"), "map[a:[] pubsub#deliver:[true]]", nil},
		{"default options of a service, told twice", options(func(ctx context.Context, p *pubsub.PubSub) (pubsub.Options, error) {
			return p.DefaultSubscriptionOptions(ctx, svc, "")
		}), "get " + inPubSub("<default/>"), inPubSub("<default>" + subscribeForm("form", deliver+deliver) + "</default>"), "", form.ErrDuplicate},
	})
}

// TestAffiliations is XEP-0060 sections 5.7 and 8.9.
func TestAffiliations(t *testing.T) {
	exchanges(t, []exchange{
		{"own", func(ctx context.Context, p *pubsub.PubSub) (any, error) { return p.Affiliations(ctx, svc, "") }, "get " + inPubSub("<affiliations/>"),
			inPubSub("<affiliations><affiliation node='n' affiliation='owner'/><affiliation node='m' affiliation='outcast' jid='@'/></affiliations>"), "[{n  owner}]", nil},
		{"own at a node", func(ctx context.Context, p *pubsub.PubSub) (any, error) { return p.Affiliations(ctx, svc, "n") }, "get " + inPubSub("<affiliations node='n'/>"),
			inPubSub("<affiliations><affiliation node='n' affiliation='publisher' jid='juliet@example.test'/><affiliation node='m' affiliation='owner'/></affiliations>"), "[{n juliet@example.test publisher}]", nil},
		{"of another node", func(ctx context.Context, p *pubsub.PubSub) (any, error) { return p.Affiliations(ctx, svc, "n") }, "get " + inPubSub("<affiliations node='n'/>"),
			inPubSub("<affiliations node='m'/>"), "", pubsub.ErrAnswer},
		{"of a node", func(ctx context.Context, p *pubsub.PubSub) (any, error) { return p.NodeAffiliations(ctx, svc, "n") }, "get " + inOwner("<affiliations node='n'/>"),
			inOwner("<affiliations node='n'><affiliation jid='romeo@example.test' affiliation='member'/><affiliation affiliation='owner'/></affiliations>"), "[{n romeo@example.test member}]", nil},
		{"not for us", func(ctx context.Context, p *pubsub.PubSub) (any, error) { return p.NodeAffiliations(ctx, svc, "n") }, "get " + inOwner("<affiliations node='n'/>"),
			"<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "", stanza.Forbidden},
		{"change them", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return "", p.SetNodeAffiliations(ctx, svc, "n", pubsub.Affiliate{JID: romeo, Affiliation: pubsub.NoAffiliation}, pubsub.Affiliate{JID: svc, Affiliation: pubsub.PublishOnly})
		}, inOwner("<affiliations node='n'><affiliation jid='romeo@example.test' affiliation='none'/><affiliation jid='pubsub.example.test' affiliation='publish-only'/></affiliations>"), "", "", nil},
	})
}

// TestDiscovery is XEP-0060 sections 5.2 to 5.5.
func TestDiscovery(t *testing.T) {
	const info, items = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items"
	nodes := func(collection string, r rsm.Request) func(context.Context, *pubsub.PubSub) (any, error) {
		return func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			out := ""
			for n, err := range p.Nodes(ctx, svc, collection, r) {
				if err != nil {
					return out, err
				}
				out += fmt.Sprintf("%v %s (%s);", n.Service, n.Node, n.Name)
			}
			return out, nil
		}
	}
	node := func(ctx context.Context, p *pubsub.PubSub) (any, error) {
		i, err := p.NodeInfo(ctx, svc, "n")
		if err != nil {
			return nil, err
		}
		return fmt.Sprint(i.Type, " ", i.Name, " ", i.Features, " ", i.Metadata, " ", i.Form != nil), nil
	}
	exchanges(t, []exchange{
		{"nodes", nodes("", rsm.Request{}), "get <query xmlns='" + items + "'/>",
			"<query xmlns='" + items + "'><item jid='pubsub.example.test' node='n' name='News'/><item jid='other.example' node='m'/><item jid='pubsub.example.test'/><item node='x' jid='@'/></query>",
			"pubsub.example.test n (News);other.example m ();", nil},
		{"a page of a collection", nodes("c", rsm.Request{Max: 5}), "get <query xmlns='" + items + "' node='c'><set xmlns='http://jabber.org/protocol/rsm'><max>5</max></set></query>",
			"<query xmlns='" + items + "' node='c'><item jid='pubsub.example.test' node='n'/><set xmlns='http://jabber.org/protocol/rsm'><count>1</count></set></query>", "pubsub.example.test n ();", nil},
		{"of another collection", nodes("c", rsm.Request{}), "get <query xmlns='" + items + "' node='c'/>", "<query xmlns='" + items + "'/>", "", nil},
		{"of another collection, as is said", nodes("c", rsm.Request{}), "get <query xmlns='" + items + "' node='c'/>", "<query xmlns='" + items + "' node='d'/>", "", pubsub.ErrAnswer},
		{"ids of items", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			out := ""
			for id, err := range p.ItemIDs(ctx, svc, "n", rsm.Request{}) {
				if err != nil {
					return out, err
				}
				out += id + ";"
			}
			return out, nil
		}, "get <query xmlns='" + items + "' node='n'/>",
			"<query xmlns='" + items + "' node='n'><item jid='pubsub.example.test' name='1'/><item jid='pubsub.example.test' name='2'/><item jid='pubsub.example.test' node='m' name='3'/><item jid='pubsub.example.test'/></query>", "1;2;", nil},
		{"a node", node, "get <query xmlns='" + info + "' node='n'/>",
			"<query xmlns='" + info + "' node='n'><identity category='pubsub' type='leaf' name='News'/><identity category='x' type='y'/><feature var='http://jabber.org/protocol/pubsub'/>" +
				"<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#meta-data</value></field><field var='pubsub#title'><value>T</value></field></x></query>",
			"leaf News [http://jabber.org/protocol/pubsub] map[pubsub#title:[T]] true", nil},
		{"a collection", node, "get <query xmlns='" + info + "' node='n'/>",
			"<query xmlns='" + info + "' node='n'><identity category='pubsub' type='service'/><identity category='pubsub' type='collection'/><x xmlns='jabber:x:data' type='result'/></query>", "collection  [] map[] false", nil},
		{"metadata twice", node, "get <query xmlns='" + info + "' node='n'/>",
			"<query xmlns='" + info + "' node='n'><x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#meta-data</value></field><field var='a'/><field var='a'/></x></query>", "", pubsub.ErrAnswer},
		{"no node", node, "get <query xmlns='" + info + "' node='n'/>", "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "", stanza.ItemNotFound},
	})
	t.Run("own account", func(t *testing.T) {
		checkGoroutines(t)
		p, _, peer := pair(t, pubsub.Config{})
		peer.While(func() {
			for n, err := range p.Nodes(t.Context(), pep, "", rsm.Request{}) {
				if err != nil || n.Node != "n" {
					t.Error(n, err)
				}
			}
		}, `
			C: <iq to='juliet@example.test' id='{a}' type='get'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
			S: <iq id='{a}' from='juliet@example.test' type='result'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='juliet@example.test' node='n'/></query></iq>`)
	})
}

// TestNodes is XEP-0060 sections 8.2.4, 8.3 and 8.4, and XEP-0248.
func TestNodes(t *testing.T) {
	config := func(fields string) string {
		return "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field>" + fields + "</x>"
	}
	exchanges(t, []exchange{
		{"default configuration", func(ctx context.Context, p *pubsub.PubSub) (any, error) { return p.DefaultConfiguration(ctx, svc) }, "get " + inOwner("<default/>"),
			inOwner("<default><x xmlns='jabber:x:data' type='form'><field var='pubsub#title'/></x></default>"), "map[pubsub#title:[]]", nil},
		{"no default configuration", func(ctx context.Context, p *pubsub.PubSub) (any, error) { return p.DefaultConfiguration(ctx, svc) }, "get " + inOwner("<default/>"), inOwner("<default/>"), "", pubsub.ErrAnswer},
		{"delete and redirect", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return "", p.DeleteNodeTo(ctx, svc, "n", "xmpp:a@b?;node=m")
		}, inOwner("<delete node='n'><redirect uri='xmpp:a@b?;node=m'/></delete>"), "", "", nil},
		{"a collection", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return p.CreateCollection(ctx, svc, "c", nil)
		},
			inPubSub("<create node='c'/><configure>" + config("<field var='pubsub#node_type'><value>collection</value></field>") + "</configure>"), "", "c", nil},
		{"of that name", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return p.CreateCollection(ctx, svc, "", pubsub.NewOptions(pubsub.Title, "T"))
		}, inPubSub("<create/><configure>" + config("<field var='pubsub#node_type'><value>collection</value></field><field var='pubsub#title'><value>T</value></field>") + "</configure>"),
			inPubSub("<create node='made'/>"), "made", nil},
		{"into collections", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			return "", p.SetCollections(ctx, svc, "n", "c", "d")
		}, inOwner("<configure node='n'>" + config("<field var='pubsub#collection'><value>c</value><value>d</value></field>") + "</configure>"), "", "", nil},
		{"out of them", func(ctx context.Context, p *pubsub.PubSub) (any, error) { return "", p.SetCollections(ctx, svc, "n") },
			inOwner("<configure node='n'>" + config("<field var='pubsub#collection'/>") + "</configure>"), "", "", nil},
		{"a form that somebody has filled in", func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			o, err := pubsub.OptionsOf(form.New(form.TypeSubmit, pubsub.NS+"#node_config").Set(pubsub.Title, "T"))
			return "", errors.Join(err, p.Configure(ctx, svc, "n", o))
		}, inOwner("<configure node='n'>" + config("<field var='pubsub#title'><value>T</value></field>") + "</configure>"), "", "", nil},
	})
	if o, err := pubsub.OptionsOf(nil); o != nil || err != nil {
		t.Error(o, err)
	}
}

// TestConditions: each condition of XEP-0060 is found in an error, and no other.
func TestConditions(t *testing.T) {
	var list []exchange
	all := []pubsub.Condition{
		pubsub.ClosedNode, pubsub.ConfigurationRequired, pubsub.InvalidJID, pubsub.InvalidOptions, pubsub.InvalidPayload, pubsub.InvalidSubID, pubsub.ItemForbidden,
		pubsub.ItemRequired, pubsub.JIDRequired, pubsub.MaxItemsExceeded, pubsub.MaxNodesExceeded, pubsub.NodeFull, pubsub.NodeIDRequired, pubsub.NotInRosterGroup, pubsub.NotSubscribed,
		pubsub.PayloadTooBig, pubsub.PayloadRequired, pubsub.PendingSubscription, pubsub.PreconditionNotMet, pubsub.PresenceSubscriptionRequired, pubsub.SubIDRequired,
		pubsub.TooManySubscriptions, pubsub.Unsupported, pubsub.UnsupportedAccessModel,
	}
	for _, c := range all {
		list = append(list, exchange{string(c), func(ctx context.Context, p *pubsub.PubSub) (any, error) {
			err := p.DeleteNode(ctx, svc, "n")
			for _, other := range all {
				if errors.Is(err, other) != (other == c) {
					t.Errorf("%v matches %s", err, other)
				}
			}
			return "", err
		}, inOwner("<delete node='n'/>"), refusal("cancel", "conflict", string(c)), "", c})
	}
	exchanges(t, list)
}

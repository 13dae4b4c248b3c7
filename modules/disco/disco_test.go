package disco_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// bubble runs f in a bubble, which ends with no goroutine left.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T, cfg disco.Config) (*disco.Disco, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	d := disco.New(cfg)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, d.Activate(s)) })
	return d, s, peer
}

var must = testkit.Must

// quiet asks for nothing by itself.
var quiet = disco.Config{NoAutoFetch: true}

const (
	romeo = "romeo@example.test/orchard"
	items = "http://jabber.org/protocol/disco#items"
	info  = "http://jabber.org/protocol/disco#info"
)

// events are what delegates heard.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

func (e *events) want(t testing.TB, what, want string) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if got := strings.Join(e.list, "; "); got != want {
		t.Errorf("%s: heard %q, want %q", what, got, want)
	}
	e.list = nil
}

func (e *events) DiscoDidDiscoverServer(_ context.Context, d *disco.Disco, info *disco.Info) {
	_, known := d.Known(d.Stream().MyJID().DomainJID())
	e.note("server %d %v", len(info.Features), known)
}
func (e *events) DiscoDidDiscoverAccount(_ context.Context, _ *disco.Disco, info *disco.Info) {
	e.note("account %d", len(info.Features))
}
func (e *events) DiscoDidNotDiscover(_ context.Context, _ *disco.Disco, of xmpp.JID, err error) {
	e.note("not %v: %v", of, errors.Is(err, stanza.ServiceUnavailable))
}
func (e *events) DiscoFeaturesDidChange(context.Context, *disco.Disco) { e.note("changed") }

// TestAsk is XEP-0030 sections 3 and 4, and XEP-0128.
func TestAsk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, _, peer := pair(t, quiet)
		peer.While(func() {
			got, err := d.Info(t.Context(), xmpp.MustParseJID("plays.example"), "")
			must(t, err)
			if !got.Has("http://jabber.org/protocol/muc") || got.Has("x") || !got.Has(info) || got.Foreign || got.Lang != "en" {
				t.Errorf("%+v", got)
			}
			if id, ok := got.Identity("conference", ""); !ok || id != (disco.Identity{Category: "conference", Type: "text", Name: "Play-Specific Chatrooms", Lang: "de"}) {
				t.Errorf("%+v, %v", id, ok)
			}
			if id, ok := got.Identity("", "chatroom"); !ok || id.Category != "directory" {
				t.Errorf("%+v, %v", id, ok)
			}
			if _, ok := got.Identity("directory", "text"); ok {
				t.Error("a category and a type of two identities")
			}
			if f := got.Form("http://jabber.org/network/serverinfo"); f == nil || f.Values("c2s_port")[0] != "5222" || got.Form("x") != nil {
				t.Errorf("%+v", f)
			}
			again, err := disco.ParseInfo(got.Element())
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("written and read again: %+v, %v", again, err)
			}
		}, `
			C: <iq type='get' to='plays.example' id='{a}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
			S: <iq type='result' from='plays.example' id='{a}' xml:lang='en'><query xmlns='http://jabber.org/protocol/disco#info' xmlns:q='urn:q'>
			     <identity category='conference' type='text' name='Play-Specific Chatrooms' xml:lang='de' q:category='evil'/>
			     <identity category='directory' type='chatroom' name='Play-Specific Chatrooms'/>
			     <feature var='jabber:iq:register'/><feature var='http://jabber.org/protocol/muc'/>
			     <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>
			       <field var='c2s_port'><value>5222</value></field></x></query></iq>`)
		peer.While(func() {
			got, err := d.Items(t.Context(), xmpp.MustParseJID("catalog.example"), "music")
			must(t, err)
			want := []disco.Item{{JID: xmpp.MustParseJID("catalog.example"), Node: "music/A"}, {JID: xmpp.MustParseJID("people@example.test/r"), Name: "Directory"}}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v", got)
			}
		}, `
			C: <iq type='get' to='catalog.example' id='{b}'><query xmlns='http://jabber.org/protocol/disco#items' node='music'/></iq>
			S: <iq type='result' from='catalog.example' id='{b}'><query xmlns='http://jabber.org/protocol/disco#items' node='music'>
			     <item jid='catalog.example' node='music/A'/><item jid='@@'/><item/><item jid='People@example.test/r' name='Directory'/></query></iq>`)
		peer.While(func() {
			if got, err := d.Items(t.Context(), xmpp.JID{}, ""); err != nil || len(got) != 0 {
				t.Errorf("nothing: %v, %v", got, err)
			}
			_, err := d.Info(t.Context(), xmpp.JID{}, "x")
			if se := (*stanza.Error)(nil); !errors.As(err, &se) || se.Condition != stanza.ItemNotFound {
				t.Errorf("an error: %v", err)
			}
			if got, err := d.Info(t.Context(), xmpp.JID{}, "not mirrored"); err != nil || !got.Has("f") {
				t.Errorf("an answer without a node: %v, %v", got, err)
			}
		}, `
			C: <iq type='get' id='{c}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
			S: <iq type='result' id='{c}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
			C: <iq type='get' id='{d}'><query xmlns='http://jabber.org/protocol/disco#info' node='x'/></iq>
			S: <iq type='error' id='{d}'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
			C: <iq type='get' id='{e}'><query xmlns='http://jabber.org/protocol/disco#info' node='not mirrored'/></iq>
			S: <iq type='result' id='{e}'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='f'/></query></iq>`)
		var none *disco.Info
		if none.Has(info) || none.Element() != nil || none.Form("x") != nil {
			t.Error("nil knows something")
		}
		if _, ok := none.Identity("", ""); ok {
			t.Error("nil is something")
		}
	})
}

// TestHostileAnswers: what is no answer, or too much of one, is refused with an error that says so.
func TestHostileAnswers(t *testing.T) {
	many := func(el string, n int) string { return strings.Repeat(el, n) }
	form := "<x xmlns='jabber:x:data' type='result'/>"
	for _, tt := range []struct {
		name, answer string
		want         error
	}{
		{"empty", "", disco.ErrMalformed},
		{"another element", "<x xmlns='http://jabber.org/protocol/disco#info'/>", disco.ErrMalformed},
		{"items", "<query xmlns='http://jabber.org/protocol/disco#items' node='n'/>", disco.ErrMalformed},
		{"another node", "<query xmlns='http://jabber.org/protocol/disco#info' node='m'/>", disco.ErrMalformed},
		{"features", "<query xmlns='http://jabber.org/protocol/disco#info'>" + many("<feature var='a'/>", disco.MaxFeatures+1) + "</query>", disco.ErrTooBig},
		{"features at the limit", "<query xmlns='http://jabber.org/protocol/disco#info'>" + many("<feature var='a'/>", disco.MaxFeatures) + "</query>", nil},
		{"identities", "<query xmlns='http://jabber.org/protocol/disco#info'>" + many("<identity/>", disco.MaxIdentities+1) + "</query>", disco.ErrTooBig},
		{"identities at the limit", "<query xmlns='http://jabber.org/protocol/disco#info'>" + many("<identity/>", disco.MaxIdentities) + "</query>", nil},
		{"forms", "<query xmlns='http://jabber.org/protocol/disco#info'>" + many(form, disco.MaxForms+1) + "</query>", disco.ErrTooBig},
		{"forms at the limit", "<query xmlns='http://jabber.org/protocol/disco#info'>" + many(form, disco.MaxForms) + "</query>", nil},
		{"a big form", "<query xmlns='http://jabber.org/protocol/disco#info'><x xmlns='jabber:x:data' type='result'>" + many("<field/>", 1001) + "</x></query>", disco.ErrTooBig},
		{"what is no form", "<query xmlns='http://jabber.org/protocol/disco#info'><x xmlns='jabber:x:data' type='evil'/><y xmlns='urn:y'/></query>", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, _, peer := pair(t, quiet)
				peer.While(func() {
					got, err := d.Info(t.Context(), xmpp.MustParseJID(romeo), "n")
					if !errors.Is(err, tt.want) || (err == nil) != (got != nil) {
						t.Errorf("%v, %v", got, err)
					}
					if tt.name == "what is no form" && (!got.Foreign || got.Forms != nil) {
						t.Errorf("%+v", got)
					}
				}, fmt.Sprintf(`
					C: <iq type='get' to='%s' id='{a}'><query xmlns='http://jabber.org/protocol/disco#info' node='n'/></iq>
					S: <iq type='result' from='%s' id='{a}'>%s</iq>`, romeo, romeo, tt.answer))
			})
		})
	}
	q := stanza.New("query", items)
	for range disco.MaxItems + 1 {
		q.C("item").A("jid", "a").Up()
	}
	if _, err := disco.ParseItems(q.Element()); !errors.Is(err, disco.ErrTooBig) {
		t.Errorf("items: %v", err)
	}
	if _, err := disco.ParseItems(stanza.New("query", info).Element()); !errors.Is(err, disco.ErrMalformed) {
		t.Errorf("info as items: %v", err)
	}
}

// contributor is a module that has something to say about the client.
type contributor struct {
	xmpp.ModuleBase
	features []string
}

func (c *contributor) Name() string                             { return "contributor" }
func (c *contributor) Activate(s *xmpp.Stream) error            { return c.Attach(s, c, nil) }
func (c *contributor) Features() []string                       { return c.features }
func (c *contributor) DiscoIdentity() (category, typ, _ string) { return "automation", "rpc", "" }
func (c *contributor) Forms() []*form.Form {
	return []*form.Form{form.New(form.TypeResult, "urn:c").Set("v", "1"), nil, form.New(form.TypeResult, "urn:app").Set("v", "2")}
}

// TestAnswer is what others are told, and who is told.
func TestAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, s, peer := pair(t, disco.Config{
			Name: "Balcony", Features: []string{"urn:app", "urn:ping", ""}, NoAutoFetch: true,
			Forms: []*form.Form{form.New(form.TypeResult, "urn:app").Set("v", "1")},
			Allow: func(from xmpp.JID) bool { return from.Local() != "mallory" },
		})
		e := new(events)
		d.AddDelegate(disco.Delegate{Features: e}, nil)
		own := func(node, identity, features, forms string) string {
			var list strings.Builder
			for _, f := range strings.Fields(features) {
				list.WriteString("<feature var='" + f + "'/>")
			}
			if node != "" {
				node = " node='" + node + "'"
			}
			return `
			S: <iq type='get' from='romeo@example.test/orchard' to='{jid}' id='1'><query xmlns='http://jabber.org/protocol/disco#info'` + node + `/></iq>
			C: <iq type='result' from='{jid}' to='romeo@example.test/orchard' id='1'><query xmlns='http://jabber.org/protocol/disco#info'` + node + `>` + identity + list.String() + forms + `</query></iq>`
		}
		const (
			me    = "<identity category='client' type='pc' name='Balcony'/>"
			base  = info + " " + items
			forms = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:app</value></field><field var='v'><value>1</value></field></x>"
		)
		peer.Play(own("", me, base+" urn:app urn:ping", forms))
		c := &contributor{features: []string{"urn:ping", "urn:c", "a"}}
		must(t, c.Activate(s))
		peer.Play(own("", me+"<identity category='automation' type='rpc'/>", "a "+base+" urn:app urn:c urn:ping",
			forms+"<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:c</value></field><field var='v'><value>1</value></field></x>"))
		c.Deactivate()
		p := ping.New(ping.Config{Interval: -1})
		must(t, p.Activate(s))
		remove, again := d.AddFeature("urn:later"), d.AddFeature("urn:later")
		e.want(t, "AddFeature", "changed; changed")
		peer.Play(own("", me, base+" urn:app urn:later urn:ping urn:xmpp:ping", forms))
		remove()
		remove()
		e.want(t, "one removed, twice", "changed")
		peer.Play(own("", me, base+" urn:app urn:later urn:ping urn:xmpp:ping", forms))
		again()
		d.FeaturesDidChange()
		e.want(t, "removed, and told", "changed; changed")
		p.Deactivate()
		peer.Play(own("", me, base+" urn:app urn:ping", forms))

		const (
			notFound    = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
			unavailable = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
		)
		// Items, CAP-04's unknown nodes, and one who is not allowed.
		peer.Play(`
			S: <iq type='get' from='romeo@example.test/orchard' id='2'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
			C: <iq type='result' to='romeo@example.test/orchard' id='2'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
			S: <iq type='get' from='romeo@example.test/orchard' id='3'><query xmlns='http://jabber.org/protocol/disco#items' node='x'/></iq>
			C: <iq type='error' to='romeo@example.test/orchard' id='3'>` + notFound + `</iq>
			S: <iq type='get' from='romeo@example.test/orchard' id='4'><query xmlns='http://jabber.org/protocol/disco#info' node='x'/></iq>
			C: <iq type='error' to='romeo@example.test/orchard' id='4'>` + notFound + `</iq>
			S: <iq type='get' from='mallory@example.test/x' id='5'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
			C: <iq type='error' to='mallory@example.test/x' id='5'>` + unavailable + `</iq>
			S: <iq type='set' from='romeo@example.test/orchard' id='6'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
			C: <iq type='error' to='romeo@example.test/orchard' id='6'>` + unavailable + `</iq>`)
		d.Deactivate()
		peer.Play(`
			S: <iq type='get' from='romeo@example.test/orchard' id='7'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
			C: <iq type='error' to='romeo@example.test/orchard' id='7'>` + unavailable + `</iq>`)
	})
}

// nodeAdder is how modules find it without importing it.
type nodeAdder interface {
	AddNode(string, xmpp.IQHandler) (func(), error)
	FeaturesDidChange()
}

func TestNodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, s, peer := pair(t, quiet)
		adder, ok := xmpp.ModuleOf[nodeAdder](s)
		if !ok {
			t.Fatal("not found")
		}
		who := ""
		remove, err := adder.AddNode("urn:n", disco.Node{
			Info: func(_ context.Context, from xmpp.JID, node string) (*disco.Info, error) {
				who += from.String() + node
				return &disco.Info{Identities: []disco.Identity{{Category: "automation", Type: "command-list", Name: "N", Lang: "en"}}, Features: []string{"f"}, Lang: "de"}, nil
			},
			Items: func(context.Context, xmpp.JID, string) ([]disco.Item, error) {
				return []disco.Item{{JID: s.MyJID(), Node: "x", Name: "X"}, {JID: s.MyJID().Bare()}}, nil
			},
		}.Handle)
		must(t, err)
		if _, err := adder.AddNode("urn:n", func(context.Context, *xmpp.Stream, *stanza.IQ) {}); !errors.Is(err, xmpp.ErrHandlerExists) {
			t.Errorf("a second handler: %v", err)
		}
		for _, f := range []func() error{
			func() error { _, err := adder.AddNode("", disco.Node{}.Handle); return err },
			func() error { _, err := adder.AddNode("x", nil); return err },
		} {
			if err := f(); !errors.Is(err, xmpp.ErrInvalidParameter) {
				t.Error(err)
			}
		}
		peer.Play(`
			S: <iq type='get' from='romeo@example.test/orchard' id='1'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:n'/></iq>
			C: <iq type='result' to='romeo@example.test/orchard' id='1'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:n' xml:lang='de'><identity category='automation' type='command-list' name='N' xml:lang='en'/><feature var='f'/></query></iq>
			S: <iq type='get' from='romeo@example.test/orchard' id='2'><query xmlns='http://jabber.org/protocol/disco#items' node='urn:n'/></iq>
			C: <iq type='result' to='romeo@example.test/orchard' id='2'><query xmlns='http://jabber.org/protocol/disco#items' node='urn:n'><item jid='{jid}' node='x' name='X'/><item jid='juliet@example.test'/></query></iq>`)
		if who != romeo+"urn:n" {
			t.Errorf("asked by %q", who)
		}
		remove()
		d, _ := xmpp.ModuleOf[*disco.Disco](s)
		fail := func(err error) xmpp.IQHandler {
			return disco.Node{Info: func(context.Context, xmpp.JID, string) (*disco.Info, error) { return nil, err }}.Handle
		}
		for prefix, h := range map[string]xmpp.IQHandler{
			"urn:": fail(stanza.Forbidden), "urn:longer": fail(&stanza.Error{Condition: stanza.Gone}), "urn:e": fail(errors.New("broken")), "urn:none": fail(nil), "urn:items": disco.Node{}.Handle,
		} {
			_, err := d.AddNodePrefix(prefix, h)
			must(t, err)
		}
		_, err = d.AddNode("urn:longer:exact", fail(stanza.Conflict))
		must(t, err)
		for node, want := range map[string]string{
			"urn:n": "forbidden", "urn:longer:x": "gone", "urn:longer": "gone", "urn:longer:exact": "conflict", "urn:e": "internal-server-error", "urn:none": "item-not-found", "urn:items": "item-not-found", "x:urn:": "item-not-found",
		} {
			peer.Inject("<iq type='get' from='romeo@example.test/orchard' id='" + node + "'><query xmlns='http://jabber.org/protocol/disco#info' node='" + node + "'/></iq>")
			if got := peer.Next(); stanza.Child(stanza.Child(got, "error", stanza.NSClient), want, stanza.NSStanzas) == nil {
				t.Errorf("%s: %s, want %s", node, stanza.Compact(got), want)
			}
		}
	})
}

func TestModule(t *testing.T) {
	d := disco.New(disco.Config{})
	if d.Name() != "disco" {
		t.Error(d.Name())
	}
	var _ xmpp.Module = d
	var _ xmpp.FeatureProvider = d
	var _ nodeAdder = d
	xmpptest.CheckDelegate(t, d)
	xmpptest.CheckDelegate(t, new(events), (*disco.ServerDelegate)(nil), (*disco.FeaturesDelegate)(nil))
	if got := d.Own(); !reflect.DeepEqual(got, &disco.Info{Identities: []disco.Identity{{Category: "client", Type: "pc"}}, Features: []string{info, items}}) {
		t.Errorf("%+v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a delegate without a family was taken")
		}
	}()
	d.AddDelegate(disco.Delegate{}, nil)
}

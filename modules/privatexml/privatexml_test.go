package privatexml_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/privatexml"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

const ns = "https://example.com/prefs"

var must = testkit.Must

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T) (*privatexml.PrivateXML, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	p := privatexml.New(privatexml.Config{})
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, p.Activate(s)) })
	return p, s, peer
}

func text(e *etree.Element) string {
	if e == nil {
		return "nil"
	}
	return stanza.Compact(e)
}

// TestGet is XEP-0049 section 2.3, and what else servers answer.
func TestGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, peer := pair(t)
		const empty = `<prefs xmlns="https://example.com/prefs"/>`
		refused := func(c string) string {
			return "<iq type='error' id='{id}'><error type='cancel'><" + c + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
		}
		result := func(content string) string {
			return "<iq type='result' id='{id}' from='juliet@example.test' to='{jid}'><query xmlns='jabber:iq:private'>" + content + "</query></iq>"
		}
		for i, tt := range []struct {
			name, answer, want string
			is                 error
		}{
			{"something", result("<prefs xmlns='https://example.com/prefs' v='1'><theme>dark</theme></prefs>"), `<prefs xmlns="https://example.com/prefs" v="1"><theme>dark</theme></prefs>`, nil},
			{"with a prefix", result("<q:prefs xmlns:q='https://example.com/prefs'>x</q:prefs>"), `<q:prefs xmlns:q="https://example.com/prefs">x</q:prefs>`, nil},
			{"nothing", result("<prefs xmlns='https://example.com/prefs'/>"), empty, nil},
			{"nothing at all", result(""), empty, nil},
			{"not found", refused("item-not-found"), empty, nil},
			{"another name", result("<other xmlns='https://example.com/prefs'>x</other>"), "nil", privatexml.ErrAnswer},
			{"another namespace", result("<prefs xmlns='urn:x'>x</prefs>"), "nil", privatexml.ErrAnswer},
			{"the query's namespace", result("<prefs>x</prefs>"), "nil", privatexml.ErrAnswer},
			{"no query", "<iq type='result' id='{id}'/>", "nil", privatexml.ErrAnswer},
			{"another query", "<iq type='result' id='{id}'><query xmlns='urn:x'><prefs xmlns='https://example.com/prefs'>x</prefs></query></iq>", "nil", privatexml.ErrAnswer},
			{"no private storage", refused("service-unavailable"), "nil", xmpp.ErrUnsupported},
			{"not implemented", refused("feature-not-implemented"), "nil", xmpp.ErrUnsupported},
			{"reserved", refused("not-acceptable"), "nil", stanza.NotAcceptable},
			{"forged", "<iq type='result' id='{id}' from='romeo@example.test'><query xmlns='jabber:iq:private'><prefs xmlns='https://example.com/prefs'>evil</prefs></query></iq>\nS: " + refused("forbidden"), "nil", stanza.Forbidden},
		} {
			id := "{" + string(rune('a'+i)) + "}"
			peer.While(func() {
				got, err := p.Get(t.Context(), "prefs", ns)
				if text(got) != tt.want || !errors.Is(err, tt.is) || (err == nil) != (tt.is == nil) {
					t.Errorf("%s: got %s, %v", tt.name, text(got), err)
				}
				if got != nil && (got.Parent() != nil || privatexml.IsEmpty(got) != (tt.want == empty)) {
					t.Errorf("%s: IsEmpty is %v", tt.name, privatexml.IsEmpty(got))
				}
			}, strings.ReplaceAll("C: <iq type='get' id='{id}'><query xmlns='jabber:iq:private'><prefs xmlns='https://example.com/prefs'/></query></iq>\nS: "+tt.answer, "{id}", id))
		}
	})
}

// TestSet is XEP-0049 section 2.3. An element is stored as it is, wherever it was taken from.
func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, peer := pair(t)
		m, err := stanza.Parse("<message xmlns='jabber:client' xmlns:q='urn:q'><prefs xmlns='https://example.com/prefs'><q:x/></prefs></message>")
		must(t, err)
		for i, tt := range []struct {
			call func(ctx context.Context) error
			want string
		}{
			{func(ctx context.Context) error {
				return p.Set(ctx, stanza.New("prefs", ns).A("v", "1").C("theme").T("dark & light"))
			}, "<prefs xmlns='https://example.com/prefs' v='1'><theme>dark &amp; light</theme></prefs>"},
			{func(ctx context.Context) error { return p.Set(ctx, stanza.Raw(m.Child("prefs", ns))) }, "<prefs xmlns='https://example.com/prefs'><q:x xmlns:q='urn:q'/></prefs>"},
			{func(ctx context.Context) error { return p.Set(ctx, stanza.New("q:prefs", ns)) }, "<prefs xmlns='https://example.com/prefs'/>"},
			{func(ctx context.Context) error { return p.Remove(ctx, "prefs", ns) }, "<prefs xmlns='https://example.com/prefs'/>"},
		} {
			id := "{" + string(rune('a'+i)) + "}"
			peer.While(func() { must(t, tt.call(t.Context())) },
				"C: <iq type='set' id='"+id+"'><query xmlns='jabber:iq:private'>"+tt.want+"</query></iq>\nS: <iq type='result' id='"+id+"'/>")
		}
		peer.While(func() {
			if err := p.Set(t.Context(), stanza.New("prefs", ns)); !errors.Is(err, xmpp.ErrUnsupported) || !errors.Is(err, stanza.ServiceUnavailable) {
				t.Error(err)
			}
		}, `
			C: <iq type='set' id='{z}'><query xmlns='jabber:iq:private'>*</query></iq>
			S: <iq type='error' id='{z}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	})
}

// TestParameters: an element without a namespace of its own would take the query's; nothing of the kind is sent.
func TestParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, _ := pair(t)
		before, ctx := s.Stats().StanzasSent, t.Context()
		_, noNS := p.Get(ctx, "prefs", "")
		_, own := p.Get(ctx, "prefs", privatexml.NS)
		for name, err := range map[string]error{
			"nil": p.Set(ctx, nil), "nil builder": p.Set(ctx, (*stanza.Builder)(nil)), "nil element": p.Set(ctx, stanza.Raw(nil)), "no namespace": p.Set(ctx, stanza.New("prefs")),
			"the query's": p.Set(ctx, stanza.New("prefs", privatexml.NS)), "of stanzas": p.Set(ctx, stanza.New("prefs", stanza.NSClient)), "a stanza": p.Set(ctx, stanza.NewMessage(stanza.Chat, xmpp.JID{}, "x")),
			"an unbound prefix": p.Set(ctx, stanza.New("q:prefs")), "Get": noNS, "Get query": own, "Remove": p.Remove(ctx, "prefs", ""),
		} {
			if !errors.Is(err, xmpp.ErrInvalidParameter) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := p.Get(ctx, "", ns); !errors.Is(err, xmpp.ErrInvalidXMLName) {
			t.Errorf("no name: %v", err)
		}
		synctest.Wait()
		if n := s.Stats().StanzasSent - before; n != 0 {
			t.Errorf("%d stanzas were sent", n)
		}
		p.Deactivate()
		if _, err := p.Get(ctx, "prefs", ns); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("not active: %v", err)
		}
	})
}

// TestSec_ORG21: nobody gets at private data through the client, and what others send of that kind is refused once.
func TestSec_ORG21(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, peer := pair(t)
		for _, from := range []string{"romeo@montague.net/orchard", "example.test", "juliet@example.test", "juliet@example.test/other"} {
			for _, typ := range []string{"get", "set"} {
				peer.Play("S: <iq type='" + typ + "' id='x' from='" + from + "' to='{jid}'><query xmlns='jabber:iq:private'><prefs xmlns='https://example.com/prefs'/></query></iq>" + `
					C: <iq type='error' id='x' from='{jid}' to='` + from + `'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
					C!idle 1s`)
			}
		}
	})
}

func TestIsEmpty(t *testing.T) {
	for xml, want := range map[string]bool{
		"<a xmlns='urn:a'/>": true, "<a xmlns='urn:a' xmlns:q='urn:q'> \n</a>": true, "<a xmlns='urn:a' v=''/>": false, "<a xmlns='urn:a'>x</a>": false, "<a xmlns='urn:a'><b/></a>": false,
	} {
		e, err := stanza.ParseElement(xml)
		must(t, err)
		if got := privatexml.IsEmpty(e); got != want {
			t.Errorf("%s: %v", xml, got)
		}
	}
	if !privatexml.IsEmpty(nil) {
		t.Error("nil")
	}
}

func TestModule(t *testing.T) {
	p := privatexml.New(privatexml.Config{})
	if p.Name() != "privatexml" {
		t.Error(p.Name())
	}
	var _ xmpp.Module = p
	xmpptest.CheckDelegate(t, p)
}

// TestIntegration keeps elements on a real server: two clients of an account see the same, and another account does not.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		address, password := srv.NewAccount(t)
		client := func(cfg xmpp.Config) (*privatexml.PrivateXML, *xmpp.Stream) {
			p := privatexml.New(privatexml.Config{})
			return p, srv.Login(t, cfg, func(s *xmpp.Stream) { must(t, p.Activate(s)) })
		}
		here, juliet := client(srv.Config(address, password))
		phone, _ := client(srv.Config(address, password))
		romeo, stranger := client(srv.Config(srv.NewAccount(t)))
		want := func(what string, p *privatexml.PrivateXML, name, ns, want string) {
			t.Helper()
			got, err := p.Get(ctx, name, ns)
			if err != nil || text(got) != want {
				t.Errorf("%s: got %s, %v, want %s", what, text(got), err, want)
			}
		}
		const ns2, empty = "https://example.com/other", `<prefs xmlns="https://example.com/prefs"/>`
		want("at first", here, "prefs", ns, empty)
		must(t, here.Set(ctx, stanza.New("prefs", ns).A("v", "1").C("theme").T("dark & <light> \U0001F319").Up().C("x", "urn:x").A("xml:lang", "de").C("y")))
		must(t, here.Set(ctx, stanza.New("other", ns2).C("z")))
		stored := `<prefs xmlns="https://example.com/prefs" v="1"><theme>dark &amp; &lt;light&gt; ` + "\U0001F319" + `</theme><x xmlns="urn:x" xml:lang="de"><y/></x></prefs>`
		got, err := phone.Get(ctx, "prefs", ns)
		if err != nil || stanza.ChildText(got, "theme", ns) != "dark & <light> \U0001F319" || stanza.AttrOr(got, "v", "") != "1" || stanza.Lang(stanza.Child(got, "x", "urn:x")) != "de" ||
			stanza.Child(stanza.Child(got, "x", "urn:x"), "y", "urn:x") == nil {
			t.Errorf("stored: got %s, %v, want %s", text(got), err, stored)
		}
		want("another namespace", phone, "prefs", "urn:y", `<prefs xmlns="urn:y"/>`)
		want("another account", romeo, "prefs", ns, empty)
		must(t, phone.Set(ctx, stanza.New("prefs", ns).C("theme").T("light")))
		want("replaced", here, "prefs", ns, `<prefs xmlns="https://example.com/prefs"><theme>light</theme></prefs>`)
		must(t, here.Set(ctx, stanza.New("prefs", ns).A("only", "attributes")))
		got, err = here.Get(ctx, "prefs", ns)
		t.Logf("attributes without child elements: %s, %v", text(got), err)
		must(t, here.Remove(ctx, "prefs", ns))
		want("removed", phone, "prefs", ns, empty)
		want("the other", phone, "other", ns2, `<other xmlns="https://example.com/other"><z/></other>`)
		must(t, here.Set(ctx, stanza.New("second", ns2).C("z")))
		got, err = here.Get(ctx, "other", ns2)
		if byName := err == nil && !privatexml.IsEmpty(got); byName != srv.Kind.Has(integration.PrivateByName) || !byName && !errors.Is(err, privatexml.ErrAnswer) {
			t.Errorf("with another of the same namespace: %s, %v", text(got), err)
		}
		for _, reserved := range []string{"jabber:x:data", "http://jabber.org/protocol/muc", "vcard-temp"} {
			t.Logf("%s: %v", reserved, here.Set(ctx, stanza.New("x", reserved).C("y")))
		}
		// Section 4: nobody else, not even by asking.
		ask := stanza.NewIQ(stanza.Get, juliet.MyJID().Bare(), stanza.New("query", privatexml.NS).C("other", ns2))
		if answer, err := stranger.SendIQ(ctx, ask); !errors.Is(err, stanza.ServiceUnavailable) && !errors.Is(err, stanza.Forbidden) {
			t.Errorf("a stranger who asks the server: %v, %v", answer, err)
		}
		ask = stanza.NewIQ(stanza.Get, juliet.MyJID(), stanza.New("query", privatexml.NS).C("other", ns2))
		if answer, err := stranger.SendIQ(ctx, ask); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("a stranger who asks the client: %v, %v", answer, err)
		}
	})
}

// TestIntegrationUnsupported asks a domain without private storage, where there is one.
func TestIntegrationUnsupported(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		if srv.Kind.IsProsody() {
			return // every domain has it
		}
		p := privatexml.New(privatexml.Config{})
		srv.ClientAt(t, integration.TLS12Host, func(s *xmpp.Stream) { must(t, p.Activate(s)) })
		if _, err := p.Get(t.Context(), "prefs", ns); !errors.Is(err, xmpp.ErrUnsupported) {
			t.Error("Get:", err)
		}
		if err := p.Set(t.Context(), stanza.New("prefs", ns)); !errors.Is(err, xmpp.ErrUnsupported) {
			t.Error("Set:", err)
		}
	})
}

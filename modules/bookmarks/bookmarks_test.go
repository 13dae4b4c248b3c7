package bookmarks_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestModule(t *testing.T) {
	b := bookmarks.New(bookmarks.Config{})
	if got := strings.Join(b.Features(), " "); b.Name() != "bookmarks" || got != "urn:xmpp:bookmarks:1+notify storage:bookmarks+notify" {
		t.Error(b.Name(), got)
	}
	if got := bookmarks.New(bookmarks.Config{Method: bookmarks.MethodNative}).Features(); len(got) != 1 || got[0] != bookmarks.NS+"+notify" {
		t.Error(got)
	}
	if got := bookmarks.New(bookmarks.Config{Method: bookmarks.MethodPEP}).Features(); len(got) != 1 || got[0] != bookmarks.NSOld+"+notify" {
		t.Error(got)
	}
	var _ xmpp.Module = b
	xmpptest.CheckDelegate(t, b)
	xmpptest.CheckDelegate(t, new(ear), bookmarks.Delegate{})
	ctx := t.Context()
	for name, err := range map[string]error{
		"Fetch": b.Fetch(ctx), "Wait": b.Wait(ctx), "Set": b.Set(ctx, bookmarks.Bookmark{JID: room("garden")}), "Remove": b.Remove(ctx, room("garden")),
	} {
		if !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("%s of a module that is not active: %v", name, err)
		}
	}
}

// TestMethod: the form is that which the server can do best.
func TestMethod(t *testing.T) {
	for name, tt := range map[string]struct {
		server []xmpptest.Option
		told   bookmarks.Method
		want   bookmarks.Method
		err    error
	}{
		"nothing but private storage":       {want: bookmarks.MethodPrivate},
		"nothing at all":                    {server: []xmpptest.Option{xmpptest.Without("jabber:iq:private")}, want: bookmarks.MethodPrivate, err: xmpp.ErrUnsupported},
		"nothing at all, not even disco":    {server: []xmpptest.Option{xmpptest.Without("http://jabber.org/protocol/disco#info")}, want: bookmarks.MethodPrivate},
		"nodes":                             {server: []xmpptest.Option{xmpptest.WithPEP()}, want: bookmarks.MethodBoth},
		"nodes alone":                       {server: []xmpptest.Option{xmpptest.WithPEP(), xmpptest.Without("jabber:iq:private")}, want: bookmarks.MethodBoth},
		"conversion":                        {server: []xmpptest.Option{xmpptest.WithPEP(bookmarks.FeatureConversion)}, want: bookmarks.MethodPEP},
		"compat":                            {server: []xmpptest.Option{xmpptest.WithPEP(bookmarks.FeatureCompat)}, want: bookmarks.MethodNative},
		"compat-pep":                        {server: []xmpptest.Option{xmpptest.WithPEP(bookmarks.FeatureConversion, bookmarks.FeatureCompatPEP)}, want: bookmarks.MethodNative},
		"told: native":                      {server: []xmpptest.Option{xmpptest.WithPEP()}, told: bookmarks.MethodNative, want: bookmarks.MethodNative},
		"told: pep":                         {server: []xmpptest.Option{xmpptest.WithPEP(bookmarks.FeatureCompat)}, told: bookmarks.MethodPEP, want: bookmarks.MethodPEP},
		"told: private":                     {server: []xmpptest.Option{xmpptest.WithPEP(bookmarks.FeatureCompat)}, told: bookmarks.MethodPrivate, want: bookmarks.MethodPrivate},
		"told: native, which there is not":  {told: bookmarks.MethodNative, want: bookmarks.MethodNative, err: stanza.ServiceUnavailable},
		"told: private, which there is not": {server: []xmpptest.Option{xmpptest.Without("jabber:iq:private")}, told: bookmarks.MethodPrivate, want: bookmarks.MethodPrivate, err: xmpp.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := visit(t, xmpptest.NewServer(t, tt.server...), "juliet", options{Config: bookmarks.Config{Method: tt.told}})
				if got, err := c.Method(t.Context()); got != tt.want || err != nil {
					t.Errorf("%v, %v; want %v", got, err, tt.want)
				}
				err := c.Wait(t.Context())
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Errorf("Wait: %v, want %v", err, tt.err)
				}
				got := c.settled()
				if want := "fetched"; tt.err == nil && got != want || tt.err != nil && !strings.HasPrefix(got, "not fetched: ") {
					t.Errorf("heard %q", got)
				}
				if tt.err == nil {
					must(t, c.Set(t.Context(), bookmarks.Bookmark{JID: room("garden")}))
					c.has(t, "after Set", "garden")
				}
			})
		})
	}
}

// forms are the methods, each at a server for which it is the right one.
var forms = map[bookmarks.Method][]xmpptest.Option{
	bookmarks.MethodNative:  {xmpptest.WithPEP(bookmarks.FeatureCompat), xmpptest.WithRooms(xmpptest.Rooms{})},
	bookmarks.MethodPEP:     {xmpptest.WithPEP(bookmarks.FeatureConversion), xmpptest.WithRooms(xmpptest.Rooms{})},
	bookmarks.MethodPrivate: {xmpptest.WithRooms(xmpptest.Rooms{})},
	bookmarks.MethodBoth:    {xmpptest.WithPEP(), xmpptest.WithRooms(xmpptest.Rooms{})},
}

func eachForm(t *testing.T, f func(t *testing.T, srv *xmpptest.Server, m bookmarks.Method)) {
	for m, o := range forms {
		t.Run(m.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, xmpptest.NewServer(t, o...), m) })
		})
	}
}

// TestList: what one client writes is what both have, in every form.
func TestList(t *testing.T) {
	eachForm(t, func(t *testing.T, srv *xmpptest.Server, m bookmarks.Method) {
		never := options{Config: bookmarks.Config{AutoJoin: bookmarks.AutoJoinNever}}
		here, there := visit(t, srv, "juliet", never), visit(t, srv, "juliet", never)
		ctx := t.Context()
		must(t, errors.Join(here.Wait(ctx), there.Wait(ctx)))
		here.settled()
		there.settled()
		told := func() (string, string) { // private storage tells nobody; fetching shows the same
			x := here.settled()
			if m == bookmarks.MethodPrivate {
				must(t, there.Fetch(ctx))
			}
			strip := func(s string) string {
				var out []string
				for line := range strings.Lines(s) {
					if line = strings.TrimSpace(line); line != "fetched" {
						out = append(out, line)
					}
				}
				return strings.Join(out, "\n")
			}
			return strip(x), strip(there.settled())
		}
		for _, step := range []struct {
			what  string
			do    func() error
			heard string
			list  string
		}{
			{"add", func() error {
				b := bookmarks.Bookmark{JID: room("garden"), Name: "Garden & <more>", Nick: "Jülia", Password: "pw ", AutoJoin: true}
				b.SetExtension(stanza.New("x", "urn:example:x").A("v", "1").C("y"))
				return here.Set(ctx, b)
			}, `+ garden name=Garden & <more> nick=Jülia password=pw  auto <x xmlns="urn:example:x" v="1"><y/></x>`, `garden name=Garden & <more> nick=Jülia password=pw  auto <x xmlns="urn:example:x" v="1"><y/></x>`},
			{"the same again", func() error {
				return here.Set(ctx, bookmarks.Bookmark{JID: room("garden"), Name: "Garden & <more>", Nick: "Jülia", Password: "pw ", AutoJoin: true})
			}, "", `garden name=Garden & <more> nick=Jülia password=pw  auto <x xmlns="urn:example:x" v="1"><y/></x>`},
			{"change", func() error {
				return here.Set(ctx, bookmarks.Bookmark{JID: xmpp.MustParseJID("garden@conference.example.test/somebody"), Name: "Garden"})
			}, `~ garden name=Garden <x xmlns="urn:example:x" v="1"><y/></x>`, `garden name=Garden <x xmlns="urn:example:x" v="1"><y/></x>`},
			{"extensions", func() error {
				b, _ := here.Get(room("garden"))
				b.RemoveExtension("x", "urn:example:x")
				b.SetExtension(stanza.New("z", "urn:example:z"))
				return here.Set(ctx, b)
			}, `~ garden name=Garden <z xmlns="urn:example:z"/>`, `garden name=Garden <z xmlns="urn:example:z"/>`},
			{"merge", func() error {
				return here.Merge(ctx, []bookmarks.Bookmark{{JID: room("crypt")}, {JID: room("balcony"), AutoJoin: true}}, []xmpp.JID{room("garden"), room("nowhere")})
			}, "", "balcony auto; crypt"},
			{"replace", func() error {
				return here.Replace(ctx, []bookmarks.Bookmark{{JID: room("crypt"), Name: "Crypt"}, {JID: room("orchard")}})
			}, "", "crypt name=Crypt; orchard"},
			{"remove", func() error { return here.Remove(ctx, room("orchard")) }, "- orchard", "crypt name=Crypt"},
			{"remove what is not there", func() error { return here.Remove(ctx, room("orchard")) }, "", "crypt name=Crypt"},
			{"replace by nothing", func() error { return here.Replace(ctx, nil) }, "- crypt name=Crypt", ""},
		} {
			if err := step.do(); err != nil {
				t.Errorf("%s: %v", step.what, err)
			}
			x, y := told()
			if step.what != "merge" && step.what != "replace" && (x != step.heard || y != step.heard) {
				t.Errorf("%s: heard\n%s\nand there\n%s\nwant\n%s", step.what, x, y, step.heard)
			}
			here.has(t, step.what, step.list)
			there.has(t, step.what+", there", step.list)
		}
		if here.Len() != 0 {
			t.Error(here.Len())
		}
	})
}

// TestURLs: web pages are in the older forms only.
func TestURLs(t *testing.T) {
	eachForm(t, func(t *testing.T, srv *xmpptest.Server, m bookmarks.Method) {
		c, ctx := visit(t, srv, "juliet", options{}), t.Context()
		must(t, c.Wait(ctx))
		err := c.SetURL(ctx, bookmarks.URL{Name: "The play", URL: "https://example.org/?a=1&b=2"})
		if m == bookmarks.MethodNative {
			if err2 := c.RemoveURL(ctx, "https://example.org"); !errors.Is(err, bookmarks.ErrNoURLs) || !errors.Is(err2, bookmarks.ErrNoURLs) {
				t.Error(err, err2)
			}
			return
		}
		must(t, err)
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("garden")}))
		must(t, c.SetURL(ctx, bookmarks.URL{Name: "Another", URL: "https://example.org/2"}))
		must(t, c.SetURL(ctx, bookmarks.URL{Name: "Romeo and Juliet", URL: "https://example.org/?a=1&b=2"}))
		synctest.Wait()
		c.has(t, "two", "garden; Romeo and Juliet=https://example.org/?a=1&b=2; Another=https://example.org/2")
		must(t, c.Replace(ctx, nil))
		must(t, c.RemoveURL(ctx, "https://example.org/2"))
		must(t, c.RemoveURL(ctx, "https://example.org/3"))
		synctest.Wait()
		c.has(t, "one", "Romeo and Juliet=https://example.org/?a=1&b=2")
		if got := c.take(); strings.Count(got, "pages") != 4 && m != bookmarks.MethodBoth { // which looks again after each
			t.Error("heard", got)
		}
	})
}

// TestParameters: what makes no sense is not sent.
func TestParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ctx := visit(t, xmpptest.NewServer(t), "juliet", options{}), t.Context()
		must(t, c.Wait(ctx))
		synctest.Wait()
		before := c.s.Stats().StanzasSent
		foreign := func(e stanza.Elementer) bookmarks.Bookmark {
			b := bookmarks.Bookmark{JID: room("garden")}
			b.SetExtension(e)
			return b
		}
		for name, err := range map[string]error{
			"no room": c.Set(ctx, bookmarks.Bookmark{}), "remove no room": c.Remove(ctx, xmpp.JID{}), "no page": c.SetURL(ctx, bookmarks.URL{Name: "x"}), "remove no page": c.RemoveURL(ctx, ""),
			"one of two": c.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden")}, {}}, nil), "an extension without namespace": c.Set(ctx, foreign(stanza.New("x"))),
			"one of ours": c.Replace(ctx, []bookmarks.Bookmark{foreign(stanza.New("nick", bookmarks.NS))}),
		} {
			if !errors.Is(err, xmpp.ErrInvalidParameter) {
				t.Errorf("%s: %v", name, err)
			}
		}
		synctest.Wait()
		if n := c.s.Stats().StanzasSent - before; n != 0 {
			t.Errorf("%d stanzas were sent", n)
		}
		b := foreign(nil)
		b.SetExtension((*stanza.Builder)(nil))
		must(t, c.Set(ctx, b))
		if err := c.Set(ctx, bookmarks.Bookmark{JID: room("garden"), Name: "\x00"}); !errors.Is(err, xmpp.ErrInvalidXMLChar) {
			t.Error("a character that XML has not:", err)
		}
	})
}

// TestSessions: a new session fetches the list anew and tells what is different; a resumed one asks nothing.
func TestSessions(t *testing.T) {
	eachForm(t, func(t *testing.T, srv *xmpptest.Server, m bookmarks.Method) {
		ctx := t.Context()
		never := options{Config: bookmarks.Config{AutoJoin: bookmarks.AutoJoinNever}}
		c := visit(t, srv, "juliet", never)
		must(t, c.Wait(ctx))
		must(t, c.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden")}, {JID: room("crypt")}}, nil))
		c.settled()
		c.s.Disconnect()
		synctest.Wait()
		c.has(t, "between sessions", "crypt; garden")
		other := visit(t, srv, "juliet", never)
		must(t, other.Wait(ctx))
		must(t, other.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden"), Name: "Garden"}, {JID: room("orchard")}}, []xmpp.JID{room("crypt")}))
		synctest.Wait()
		must(t, c.s.Login(ctx))
		must(t, c.Wait(ctx))
		c.hears(t, "the next session", "- crypt", "~ garden name=Garden", "+ orchard", "fetched")
		c.has(t, "the next session", "garden name=Garden; orchard")
		c.Deactivate()
		if err := c.Wait(ctx); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Error("not active:", err)
		}
		c.has(t, "not active", "garden name=Garden; orchard")
		must(t, c.Activate(c.s))
		must(t, c.Wait(ctx))
		c.hears(t, "active again", "fetched")
	})
}

// TestKept: what the module knows nothing of stays where it is, and nothing is written without need.
func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithPEP(bookmarks.FeatureCompat))
		c, ctx := visit(t, srv, "juliet", options{noRooms: true}), t.Context()
		must(t, c.Wait(ctx))
		p, err := pubsub.Of(c.s)
		must(t, err)
		put := func(id, xml string) {
			t.Helper()
			_, err := p.Publish(ctx, xmpp.JID{}, bookmarks.NS, pubsub.Item{ID: id, Payload: element(t, xml)}, nil)
			must(t, err)
		}
		put("garden@conference.example.test", `<conference xmlns="urn:xmpp:bookmarks:1" name="Garden" autojoin="0" minimized="1"><q:note xmlns:q="urn:q" q:a="b">x</q:note><nick>j</nick><extensions><a xmlns="urn:a"/></extensions></conference>`)
		put("not a room@@", `<conference xmlns="urn:xmpp:bookmarks:1"/>`)
		put("Crypt@conference.example.test", `<conference xmlns="urn:xmpp:bookmarks:1"/>`)
		synctest.Wait()
		c.has(t, "at first", `crypt; garden name=Garden nick=j <a xmlns="urn:a"/>`)
		b := bookmarks.Bookmark{JID: room("garden"), Name: "Garden", Nick: "j", Password: "pw", AutoJoin: true}
		b.SetExtension(stanza.New("b", "urn:b"))
		must(t, c.Set(ctx, b))
		must(t, c.Replace(ctx, []bookmarks.Bookmark{b})) // the crypt goes; its item has another name than its room
		items, err := p.Items(ctx, xmpp.JID{}, bookmarks.NS, nil)
		must(t, err)
		got := ""
		for _, i := range items {
			got += i.ID + ": " + stanza.Compact(i.Payload) + "\n"
		}
		want := `not a room@@: <conference xmlns="urn:xmpp:bookmarks:1"/>
garden@conference.example.test: <conference xmlns="urn:xmpp:bookmarks:1" name="Garden" autojoin="true" minimized="1"><password>pw</password><q:note xmlns:q="urn:q" q:a="b">x</q:note><nick>j</nick><extensions><a xmlns="urn:a"/><b xmlns="urn:b"/></extensions></conference>
`
		if got != want {
			t.Errorf("stored\n%s\nwant\n%s", got, want)
		}
	})
}

// TestEvents: what the server tells of the node of XEP-0402 (section 4), in all its forms.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithPEP(bookmarks.FeatureCompat))
		c, ctx := visit(t, srv, "juliet", options{noRooms: true}), t.Context()
		must(t, c.Wait(ctx))
		must(t, c.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden")}, {JID: room("crypt")}}, nil))
		c.settled()
		own := "juliet@example.test"
		for _, step := range []struct{ what, xml, heard string }{
			{"an item", "<items node='urn:xmpp:bookmarks:1'><item id='orchard@conference.example.test'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='1'/></item></items>", "+ orchard auto"},
			{"the same", "<items node='urn:xmpp:bookmarks:1'><item id='orchard@conference.example.test'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'/></item></items>", ""},
			{"no address", "<items node='urn:xmpp:bookmarks:1'><item id='@'><conference xmlns='urn:xmpp:bookmarks:1'/></item><item><conference xmlns='urn:xmpp:bookmarks:1'/></item></items>", ""},
			{"a full address", "<items node='urn:xmpp:bookmarks:1'><item id='orchard@conference.example.test/me'><conference xmlns='urn:xmpp:bookmarks:1' name='x'/></item></items>", ""},
			{"something else", "<items node='urn:xmpp:bookmarks:1'><item id='orchard@conference.example.test'><conference xmlns='urn:xmpp:bookmarks:0' name='x'/></item></items>", ""},
			{"another node", "<items node='urn:xmpp:bookmarks:0'><item id='orchard@conference.example.test'><conference xmlns='urn:xmpp:bookmarks:1' name='x'/></item></items>", ""},
			{"the older form, which the server makes", "<items node='storage:bookmarks'><item id='current'><storage xmlns='storage:bookmarks'/></item></items>", ""},
			{"retracted", "<items node='urn:xmpp:bookmarks:1'><retract id='orchard@conference.example.test'/><retract id='@'/></items>", "- orchard auto"},
			{"without payload: the list is fetched", "<items node='urn:xmpp:bookmarks:1'><item id='orchard@conference.example.test'/></items>", "fetched"},
			{"purged", "<purge node='urn:xmpp:bookmarks:1'/>", "- crypt\n- garden"},
		} {
			must(t, c.s.Inject(ctx, stanza.Raw(element(t, "<message xmlns='jabber:client' from='"+own+"' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>"+step.xml+"</event></message>"))))
			c.hears(t, step.what, strings.Split(step.heard, "\n")...)
		}
		must(t, c.Fetch(ctx))
		c.hears(t, "fetched", "+ crypt", "+ garden", "fetched")
		p, err := pubsub.Of(c.s)
		must(t, errors.Join(err, p.DeleteNode(ctx, xmpp.JID{}, bookmarks.NS)))
		c.hears(t, "the node is gone", "- crypt", "- garden")
	})
}

// TestOldEvents: the same for the node of XEP-0048.
func TestOldEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithPEP(bookmarks.FeatureConversion))
		c, ctx := visit(t, srv, "juliet", options{noRooms: true}), t.Context()
		must(t, c.Wait(ctx))
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("garden")}))
		c.hears(t, "at first", "fetched", "+ garden")
		item := func(xml string) string {
			return "<items node='storage:bookmarks'><item id='current'>" + xml + "</item></items>"
		}
		for _, step := range []struct{ what, xml, heard string }{
			{"a list", item("<storage xmlns='storage:bookmarks'><conference jid='crypt@conference.example.test' name='C'/><url url='https://example.org'/></storage>"), "- garden\n+ crypt name=C\npages [{ https://example.org}]"},
			{"no list", item("<storage xmlns='urn:x'/>"), ""},
			{"the newer form", "<items node='urn:xmpp:bookmarks:1'><item id='orchard@conference.example.test'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='1'/></item></items>", ""},
			{"without payload", item(""), "- crypt name=C\n+ garden\npages []\nfetched"},
			{"retracted", "<items node='storage:bookmarks'><retract id='current'/></items>", "- garden"},
			{"gone", "<delete node='storage:bookmarks'/>", ""},
		} {
			must(t, c.s.Inject(ctx, stanza.Raw(element(t, "<message xmlns='jabber:client' from='juliet@example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'>"+step.xml+"</event></message>"))))
			c.hears(t, step.what, strings.Split(step.heard, "\n")...)
		}
	})
}

// TestMeanwhile: what another client publishes between fetching and publishing the whole list is not lost.
func TestMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithPEP(bookmarks.FeatureConversion))
		never := options{Config: bookmarks.Config{AutoJoin: bookmarks.AutoJoinNever}}
		here, there, ctx := visit(t, srv, "juliet", never), visit(t, srv, "juliet", never), t.Context()
		must(t, errors.Join(here.Wait(ctx), there.Wait(ctx), here.Set(ctx, bookmarks.Bookmark{JID: room("garden")})))
		synctest.Wait()
		// The other client writes just before this one publishes what it has fetched.
		n := 0
		remove := here.s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
			if p := iq.Child("pubsub", pubsub.NS); stanza.Child(p, "publish", pubsub.NS) != nil {
				if n++; n == 1 {
					must(t, there.Set(ctx, bookmarks.Bookmark{JID: room("crypt")}))
				}
			}
			return iq
		}})
		must(t, here.Merge(ctx, []bookmarks.Bookmark{{JID: room("orchard")}}, []xmpp.JID{room("garden")}))
		remove()
		synctest.Wait()
		for _, c := range []*client{here, there} {
			c.has(t, "both", "crypt; orchard")
			must(t, c.Fetch(ctx))
			c.has(t, "both, stored", "crypt; orchard")
		}
		if n != 2 {
			t.Errorf("published %d times, want 2", n)
		}
	})
}

// TestFails: the module says that the list has not come, and tries again when asked.
func TestFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bookmarks.New(bookmarks.Config{Method: bookmarks.MethodPrivate, NoAutoFetch: true})
		e := new(ear)
		b.AddDelegate(e.delegate(), nil)
		s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, b.Activate(s)) })
		for i, tt := range []struct {
			answer string
			err    error
			want   string
		}{
			{"<iq type='error' id='{ID}'><error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", stanza.InternalServerError, ""},
			{"<iq type='error' id='{ID}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", xmpp.ErrUnsupported, ""},
			{"<iq type='result' id='{ID}'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference jid='crypt@c.example/nick'/></storage></query></iq>", nil, "crypt nick=nick"},
		} {
			id := "{" + string(rune('a'+i)) + "}"
			peer.While(func() {
				if err := b.Fetch(t.Context()); !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Errorf("%v, want %v", err, tt.err)
				}
			}, strings.ReplaceAll("C: <iq type='get' id='{ID}'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>\nS: "+tt.answer, "{ID}", id))
			if got := listOf(b); got != tt.want {
				t.Errorf("list %q", got)
			}
		}
		synctest.Wait()
		if got := e.take(); strings.Count(got, "not fetched") != 2 || !strings.HasSuffix(got, "+ crypt nick=nick\nfetched") {
			t.Error("heard", got)
		}
		s.Disconnect()
		if err := b.Fetch(t.Context()); err == nil {
			t.Error("fetched without a connection")
		}
	})
}

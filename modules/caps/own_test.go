package caps_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// mine is what the module announces at this moment, as XML.
func (w *world) mine() string {
	w.t.Helper()
	a := w.c.Own()
	if a.Ver == "" {
		return ""
	}
	xml := fmt.Sprintf(`<c xmlns="http://jabber.org/protocol/caps" hash="%s" node="%s" ver="%s"/>`, a.Algo, a.Node, a.Ver)
	if len(a.Hashes) > 1 {
		xml += fmt.Sprintf(`<c xmlns="urn:xmpp:caps"><hash xmlns="urn:xmpp:hashes:2" algo="%s">%s</hash></c>`, a.Hashes[0].Algo, a.Hashes[0].Value)
	}
	return xml
}

func (w *world) wantSent(what string, want ...string) {
	w.t.Helper()
	got := w.sent()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Errorf("%s: sent\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAnnounce: every available presence has the capabilities, once, whatever it had before (CAP-01, CAP-03).
func TestAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, caps.Config{Node: "urn:balcony"})
		const head = `<presence xmlns="jabber:client"`
		c := w.mine()
		if strings.Count(c, "<c ") != 2 || !strings.Contains(c, `node="urn:balcony"`) {
			t.Fatal(c)
		}
		w.wantSent("the first", head+">"+c+"</presence>")
		romeo := jid("romeo/x")
		send := func(p *stanza.Presence, content ...stanza.Elementer) *stanza.Presence {
			p.Add(content...)
			must(t, w.s.Send(t.Context(), p))
			return p
		}
		away := stanza.NewPresence(stanza.Available, xmpp.JID{})
		away.SetShow(stanza.ShowAway)
		send(away)
		w.wantSent("broadcast", head+"><show>away</show>"+c+"</presence>")
		if away.Child("c", caps.NS) != nil {
			t.Error("the application's own stanza was changed")
		}
		send(stanza.NewPresence(stanza.Available, romeo))
		w.wantSent("directed", head+` to="romeo@others.test/x">`+c+"</presence>")
		send(stanza.NewPresence(stanza.Available, xmpp.JID{}), stanza.New("c", caps.NS).A("ver", "old"), stanza.New("c", caps.NS2), stanza.New("c", "urn:other"), stanza.New("c", caps.NS))
		w.wantSent("others are replaced", head+`><c xmlns="urn:other"/>`+c+"</presence>")
		must(t, w.s.ResendMyPresence(t.Context()))
		w.wantSent("the same again", head+`><c xmlns="urn:other"/>`+c+"</presence>")
		for _, typ := range []stanza.PresenceType{stanza.Unavailable, stanza.Subscribe, stanza.Unsubscribed} {
			send(stanza.NewPresence(typ, romeo))
			w.wantSent(string(typ), head+fmt.Sprintf(` to="romeo@others.test/x" type="%s"/>`, typ))
		}
		w.c.Deactivate()
		send(stanza.NewPresence(stanza.Available, xmpp.JID{}))
		w.wantSent("deactivated", head+"/>")
		must(t, w.c.Activate(w.s))
		time.Sleep(time.Second)
		w.wantSent("activated while available", head+">"+c+"</presence>")
		w.d.Deactivate()
		send(stanza.NewPresence(stanza.Available, xmpp.JID{}))
		w.wantSent("without service discovery", head+"/>")
		must(t, w.d.Activate(w.s))
		time.Sleep(time.Second)
		w.wantSent("with it, later", head+">"+c+"</presence>")

		// The next connection, with the presence of the last one.
		w.srv.Kill(w.s.MyJID())
		if err := w.s.Wait(t.Context()); err == nil {
			t.Error("the connection was not lost")
		}
		w.sent()
		must(t, w.s.Login(t.Context()))
		w.wantSent("the next connection", head+">"+c+"</presence>")
	})
}

// TestRecollect: when features change, presence is sent again, once for several changes (CAP-05).
func TestRecollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		first := w.mine()
		w.sent()
		time.Sleep(time.Minute)
		w.wantSent("no change")
		p := ping.New(ping.Config{Interval: -1})
		must(t, p.Activate(w.s))
		remove := w.d.AddFeature("f:added")
		w.wantSent("at once")
		time.Sleep(caps.ResendDelay)
		second := w.mine()
		w.wantSent("two changes", `<presence xmlns="jabber:client">`+second+"</presence>")
		if first == second {
			t.Error("the hash has not changed")
		}
		p.Deactivate()
		must(t, p.Activate(w.s))
		time.Sleep(time.Second)
		w.wantSent("off and on")
		p.Deactivate()
		remove()
		time.Sleep(time.Second)
		w.wantSent("back", `<presence xmlns="jabber:client">`+first+"</presence>")
		w.d.FeaturesDidChange()
		time.Sleep(time.Second)
		w.wantSent("nothing has changed in fact")

		// Where no presence is, none is sent.
		must(t, w.s.Send(t.Context(), stanza.NewPresence(stanza.Unavailable, xmpp.JID{})))
		w.sent()
		remove = w.d.AddFeature("f:added")
		time.Sleep(time.Second)
		w.wantSent("unavailable")
		must(t, w.c.Recollect(t.Context()))
		w.wantSent("unavailable")
		must(t, w.s.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})))
		w.sent()
		remove()
		must(t, w.c.Recollect(t.Context()))
		w.wantSent("Recollect", `<presence xmlns="jabber:client">`+first+"</presence>")
		time.Sleep(time.Second)
		w.wantSent("not once more")

		// Changes without a connection, and just before the module leaves.
		w.s.Disconnect()
		must(t, w.s.Wait(t.Context()))
		w.sent()
		remove = w.d.AddFeature("f:added")
		time.Sleep(time.Second)
		must(t, w.s.Login(t.Context()))
		w.wantSent("login", `<presence xmlns="jabber:client">`+w.mine()+"</presence>")
		remove()
		w.c.Deactivate()
		time.Sleep(time.Second)
		w.wantSent("deactivated")
	})
}

// TestFormer: what was announced is answered for, as it was then, and the client as it is now at every other node of XEP-0115 (CAP-04).
func TestFormer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d := caps.New(caps.Config{}), disco.New(disco.Config{NoAutoFetch: true})
		s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
			must(t, c.Activate(s))
			must(t, d.Activate(s))
		})
		const node = "https://github.com/go-xmppframework/xmpp#"
		ask := func(node string) (features []string) {
			t.Helper()
			peer.Inject("<iq type='get' id='a' from='romeo@others.test/x'><query xmlns='http://jabber.org/protocol/disco#info' node='" + node + "'/></iq>")
			el := peer.Next()
			q := stanza.Child(el, "query", disco.NSInfo)
			if q == nil {
				return nil
			}
			if got, _ := stanza.Attr(q, "node"); got != node {
				t.Errorf("the node %s in the answer for %s", got, node)
			}
			info, err := disco.ParseInfo(q)
			must(t, err)
			return info.Features
		}
		var all []caps.Announcement
		for n := range caps.FormerSets + 2 {
			d.AddFeature(fmt.Sprint("f:", n))
			must(t, s.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})))
			peer.Next()
			all = append(all, c.Own())
		}
		for n, a := range all {
			nodes := []string{"urn:xmpp:caps#sha-256." + a.Hashes[0].Value, node + a.Ver}
			for _, x := range nodes {
				got := ask(x)
				want := n + 1 + 4 // and caps, caps 2, info, items
				switch {
				case n < 2 && strings.HasPrefix(x, "urn:"):
					want = 0 // too old
				case n < 2:
					want = len(all) + 4
				}
				if len(got) != want {
					t.Errorf("%s of announcement %d: %d features, want %d: %v", x, n, len(got), want, got)
				}
			}
			if info, err := d.Info(ctxEnded, xmpp.JID{}, ""); err == nil {
				t.Error(info)
			}
		}
		if got := ask(node + "anything"); len(got) != len(all)+4 {
			t.Errorf("another node of ours: %v", got)
		}
		for _, x := range []string{"urn:xmpp:caps#sha-256.anything", "https://github.com/go-xmppframework/xmpp", "https://example.org#" + all[len(all)-1].Ver, "#"} {
			if got := ask(x); got != nil {
				t.Errorf("%s: %v", x, got)
			}
		}
		// Another stack verifies it by the specification.
		i := &disco.Info{Identities: []disco.Identity{{Category: "client", Type: "pc"}}, Features: ask(node + c.Own().Ver)}
		if got := caps.Hash115(i, "sha-1").Value; got != c.Own().Ver {
			t.Errorf("the answer hashes to %s", got)
		}
	})
}

var ctxEnded = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// TestOwnHash: what is announced is the hash of what is answered, with forms and languages (CAP-02); what cannot be hashed is not announced.
func TestOwnHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name string
			cfg  disco.Config
			n    int // hashes
		}{
			{"forms", disco.Config{
				Identities: []disco.Identity{{Category: "client", Type: "phone", Name: "B", Lang: "de"}, {Category: "client", Type: "phone", Name: "A", Lang: "en"}},
				Features:   []string{"urn:z", "urn:a", "URN:A"},
				Forms:      []*form.Form{form.New(form.TypeResult, "urn:form:b").Set("z", "2", "1").Set("a", "\u00e4"), form.New(form.TypeResult, "urn:form:a").Set("x", "y")},
			}, 2},
			{"a form that XEP-0390 cannot have", disco.Config{Forms: []*form.Form{form.New(form.TypeResult, "").Set("x", "y")}}, 1},
			{"a <", disco.Config{Features: []string{"urn:<"}}, 0},
		} {
			tt.cfg.NoAutoFetch = true
			c, d := caps.New(caps.Config{}), disco.New(tt.cfg)
			s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
				must(t, errors.Join(c.Activate(s), d.Activate(s)))
			})
			must(t, s.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})))
			st, err := stanza.PresenceFrom(peer.Next())
			must(t, err)
			a, ok := caps.Parse(st)
			if ok != (tt.n > 0) || len(a.Hashes) != tt.n {
				t.Errorf("%s: %+v, %v", tt.name, a, ok)
			}
			if tt.n == 0 {
				continue
			}
			peer.Inject("<iq type='get' id='a' from='romeo@others.test/x'><query xmlns='http://jabber.org/protocol/disco#info' node='" + a.Node + "#" + a.Ver + "'/></iq>")
			info, err := disco.ParseInfo(stanza.Child(peer.Next(), "query", disco.NSInfo))
			must(t, err)
			if _, n, err := caps.Verify(a.Hashes, info); err != nil || n != tt.n {
				t.Errorf("%s: %d, %v", tt.name, n, err)
			}
		}
	})
}

// blocker stands for modules/blocking.
type blocker struct {
	xmpp.ModuleBase
	jid xmpp.JID
}

func (*blocker) Name() string                                 { return "blocker" }
func (b *blocker) Activate(s *xmpp.Stream) error              { return b.Attach(s, b, nil) }
func (b *blocker) IsBlocked(j xmpp.JID) (blocked, known bool) { return j.Bare() == b.jid, true }

// roster stands for modules/roster.
type roster struct {
	xmpp.ModuleBase
	known  bool
	shares map[xmpp.JID]bool
}

func (*roster) Name() string                    { return "roster" }
func (r *roster) Activate(s *xmpp.Stream) error { return r.Attach(s, r, nil) }
func (r *roster) SharesPresence(with xmpp.JID) (yes, known bool) {
	return r.shares[with], r.known
}

// TestSec_ORG19 is its part that is about capabilities: they do not go to those who are blocked, and nobody is asked who must not know
// that the client is there. No presence is sent to anybody without being told to.
func TestSec_ORG19(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		w.sent()
		b := &blocker{jid: jid("mallory")}
		r := &roster{known: true, shares: map[xmpp.JID]bool{jid("romeo"): true, jid("mallory"): true}}
		must(t, errors.Join(b.Activate(w.s), r.Activate(w.s)))
		for _, to := range []string{"mallory/x", "mallory", "romeo/x"} {
			must(t, w.s.Send(t.Context(), stanza.NewPresence(stanza.Available, jid(to))))
		}
		w.wantSent("to one who is blocked", `<presence xmlns="jabber:client" to="mallory@others.test/x"/>`, `<presence xmlns="jabber:client" to="mallory@others.test"/>`,
			`<presence xmlns="jabber:client" to="romeo@others.test/x">`+w.mine()+"</presence>")
		must(t, w.s.Send(t.Context(), stanza.NewPresence(stanza.Unavailable, jid("mallory"))))
		w.sent()

		a := client("f:a")
		for _, u := range []string{"mallory", "stranger", "romeo", "room", "tybalt"} {
			w.reply(u, reply{info: a})
		}
		w.announce("mallory/x", c115(t, "n", a))
		w.announce("stranger/x", c115(t, "n", a))
		w.announce("stranger/x", c115(t, "n", a))
		time.Sleep(time.Minute)
		w.want("those who must not know", "", "")
		w.supports(jid("stranger/x"), "f:a", "?")
		w.announce("romeo/x", c115(t, "n", a))
		w.want("a contact", "mallory/x=f:a; stranger/x=f:a; romeo/x=f:a", "romeo/x "+node115(t, "n", a))
		w.announce("tybalt/x", c115(t, "n", a))
		w.want("a stranger with a known hash", "tybalt/x=f:a", "")

		// Those who were sent presence to, occupants of a room for example, may be asked, until it is taken back.
		c, d := client("f:c"), client("f:d")
		w.reply("room", reply{info: c})
		must(t, w.s.Send(t.Context(), stanza.NewPresence(stanza.Available, jid("room/me"))))
		w.announce("room/other", c115(t, "n", c))
		w.want("an occupant", "room/other=f:c", "room/other "+node115(t, "n", c))
		must(t, w.s.Send(t.Context(), stanza.NewPresence(stanza.Unavailable, jid("room/me"))))
		w.announce("room/other", c115(t, "n", d))
		w.want("one of a room that was left", "", "")

		// A stranger who becomes a contact is asked with the next presence.
		r.shares = map[xmpp.JID]bool{jid("stranger"): true}
		w.reply("stranger", reply{info: d})
		w.announce("stranger/x", c115(t, "n", d))
		w.want("a new contact", "room/other=f:d; stranger/x=f:d", "stranger/x "+node115(t, "n", d))
		r.shares = nil
		e := client("f:e")
		w.reply("stranger", reply{info: e})
		w.announce("stranger/x", c115(t, "n", e))
		w.want("a contact no more", "", "")
		r.shares = map[xmpp.JID]bool{jid("stranger"): true}
		w.announce("stranger/x", c115(t, "n", e))
		w.want("the same announcement", "stranger/x=f:e", "stranger/x "+node115(t, "n", e))
		// Whoever asks for it is heard all the same.
		r.shares = nil
		f := client("f:f")
		w.reply("mallory", reply{info: f})
		w.announce("mallory/y", c115(t, "n", f))
		if info, err := w.c.Fetch(t.Context(), jid("mallory/y")); err != nil || !info.Has("f:f") {
			t.Errorf("%+v, %v", info, err)
		}
		w.want("Fetch", "mallory/y=f:f", "mallory/y "+node115(t, "n", f))
		w.wantSent("no presence by itself", `<presence xmlns="jabber:client" to="room@others.test/me">`+w.mine()+"</presence>", `<presence xmlns="jabber:client" to="room@others.test/me" type="unavailable"/>`)
	})
}

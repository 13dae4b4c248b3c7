package nick_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/nick"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var checkGoroutines, must = testkit.Goroutines, testkit.Must

func TestElement(t *testing.T) {
	parse := func(xml string) stanza.Stanza {
		st, err := stanza.Parse(xml)
		must(t, err)
		return st
	}
	for _, tt := range []struct{ xml, want string }{
		{"<presence xmlns='jabber:client' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>Ishmael</nick></presence>", "Ishmael"},
		{"<message xmlns='jabber:client'><body>Call me Ishmael</body><n:nick xmlns:n='http://jabber.org/protocol/nick'> Ish\n mael </n:nick></message>", "Ish mael"},
		{"<message xmlns='jabber:client'><nick>Ishmael</nick></message>", ""},
		{"<message xmlns='jabber:client'><nick xmlns='urn:other'>Ishmael</nick></message>", ""},
		{"<message xmlns='jabber:client'><nick xmlns='http://jabber.org/protocol/nick'/></message>", ""},
		{"<message xmlns='jabber:client'><x xmlns='urn:x'><nick xmlns='http://jabber.org/protocol/nick'>of somebody else</nick></x></message>", ""},
		{"<presence xmlns='jabber:client'/>", ""},
	} {
		if got := nick.Of(parse(tt.xml)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.xml, got, tt.want)
		}
	}
	m := stanza.NewMessage(stanza.Chat, xmpp.JID{}, "Call me Ishmael")
	nick.Set(m, "Ahab")
	nick.Set(m, " Ishmael\u202e")
	if got, want := stanza.Compact(m.Child("nick", nick.NS)), "<nick xmlns=\"http://jabber.org/protocol/nick\">Ishmael</nick>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if nick.Set(m, "\u202e"); nick.Of(m) != "" || m.Child("nick", nick.NS) != nil {
		t.Error("it was not removed")
	}
	nick.Set((*stanza.Message)(nil), "Ishmael") // nothing to put it into
	p := stanza.NewPresence(stanza.Subscribe, xmpp.MustParseJID("starbuck@moby-dick.lit"))
	if nick.Set(p, "Ishmael"); nick.Of(p) != "Ishmael" {
		t.Error(nick.Of(p))
	}
}

// TestSec_Nick: what others choose is fit to be shown, and bounded.
func TestSec_Nick(t *testing.T) {
	family := "👨\u200d👩\u200d👧"
	for _, tt := range []struct{ in, want string }{
		{"Ishmael", "Ishmael"},
		{"Ише\u0301", "Ише\u0301"},
		{"می\u200cخواهم", "می\u200cخواهم"},
		{family, family},
		{"  a \t\r\n b\u00a0c\u2003 ", "a b c"},
		{"line\u2028break\u2029s", "line break s"},
		{"\x00\x07bell\x1b[31m\u0085", "bell[31m"},
		{"ad\u202emin\u2066\u2069\u200e\u200f\ufeff\u00ad", "admin"},
		{"\ue000\ufffd", ""},
		{"\U000e0041tag", "tag"},
		{"bad\xff\xfeutf8", "badutf8"},
		{" \u200b ", ""},
		{strings.Repeat("é", 500), strings.Repeat("é", 128)},
		{strings.Repeat("a b ", 500), strings.Repeat("a b ", 31) + "a b"},
		{strings.Repeat("x", 127) + " y", strings.Repeat("x", 127)},
		{strings.Repeat("x", 126) + " y", strings.Repeat("x", 126) + " y"},
	} {
		got := nick.Clean(tt.in)
		if got != tt.want || nick.Clean(got) != got || utf8.RuneCountInString(got) > nick.MaxRunes {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
	for name, want := range map[string]bool{"Ishmael": false, "ahab@moby-dick.lit": true, "ahab＠moby-dick.lit": true, "ahab﹫x": true, "": false} {
		if nick.LooksLikeAddress(name) != want {
			t.Errorf("%q looks like an address: %v", name, !want)
		}
	}
}

// roster is a module that knows who sees our presence.
type roster struct{ xmpp.ModuleBase }

func (*roster) Name() string                    { return "roster" }
func (r *roster) Activate(s *xmpp.Stream) error { return r.Attach(s, r, nil) }
func (*roster) SharesPresence(with xmpp.JID) (yes, known bool) {
	return with.Local() == "friend", with.Local() != "unknown"
}

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T, name string) (*nick.Nick, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	n := nick.New(nick.Config{Nick: name})
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, n.Activate(s)) })
	return n, s, peer
}

// TestSubscribe is XEP-0172 section 4.1: subscription requests only.
func TestSubscribe(t *testing.T) {
	checkGoroutines(t)
	n, s, peer := pair(t, "Ishmael")
	to := xmpp.MustParseJID("starbuck@moby-dick.lit")
	mine := stanza.NewPresence(stanza.Subscribe, to)
	nick.Set(mine, "the narrator")
	plain := stanza.NewPresence(stanza.Subscribe, to)
	for _, p := range []*stanza.Presence{plain, mine, stanza.NewPresence(stanza.Subscribed, to), stanza.NewPresence(stanza.Available, xmpp.JID{}), stanza.NewPresence(stanza.Available, to)} {
		must(t, s.Send(t.Context(), p))
	}
	if nick.Of(plain) != "" {
		t.Error("the application's stanza was changed")
	}
	peer.Play(`
		C: <presence to='starbuck@moby-dick.lit' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>Ishmael</nick></presence>
		C: <presence to='starbuck@moby-dick.lit' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>the narrator</nick></presence>
		C: <presence to='starbuck@moby-dick.lit' type='subscribed'/>
		C: <presence/>
		C: <presence to='starbuck@moby-dick.lit'/>`)
	for _, name := range []string{"Ahab", ""} {
		n.SetNick(name)
		must(t, s.Send(t.Context(), plain))
		if p, err := stanza.PresenceFrom(peer.Next()); err != nil || nick.Of(p) != name || n.Nick() != name {
			t.Errorf("as %q: %v, %v", name, p, err)
		}
	}
	n.SetNick("Ahab")
	n.Deactivate()
	must(t, s.Send(t.Context(), plain))
	peer.Expect("<presence to='starbuck@moby-dick.lit' type='subscribe'/>")
}

// TestMessage is XEP-0172 section 4.2: the first message to somebody without a relationship.
func TestMessage(t *testing.T) {
	checkGoroutines(t)
	for _, withRoster := range []bool{false, true} {
		t.Run(fmt.Sprint("roster: ", withRoster), func(t *testing.T) {
			n, s, peer := pair(t, "Ishmael")
			if withRoster {
				must(t, new(roster).Activate(s))
			}
			send := func(what string, m *stanza.Message, want string) {
				t.Helper()
				before := stanza.Compact(m.Element())
				must(t, s.Send(t.Context(), m))
				if got, err := stanza.MessageFrom(peer.Next()); err != nil || nick.Of(got) != want || stanza.Compact(m.Element()) != before {
					t.Errorf("%s: got %q, want %q", what, nick.Of(got), want)
				}
			}
			chat := func(to, body string) *stanza.Message {
				return stanza.NewMessage(stanza.Chat, xmpp.MustParseJID(to), body)
			}
			ofFriend := "Ishmael"
			if withRoster {
				ofFriend = ""
			}
			send("a contact", chat("friend@x.test", "hi"), ofFriend)
			send("typing is no message", chat("stranger@x.test", ""), "")
			send("the first", chat("stranger@x.test", "hi"), "Ishmael")
			send("the second", chat("stranger@x.test", "hi"), "")
			send("nobody knows", chat("unknown@x.test", "hi"), "Ishmael")
			send("an occupant of a room", chat("room@x.test/nick", "hi"), "")
			send("a server", chat("x.test", "hi"), "")
			send("the own account", chat("juliet@example.test", "hi"), "")
			room := chat("room@x.test", "hi")
			room.SetType(stanza.Groupchat)
			send("a room", room, "")
			mine := chat("another@x.test", "hi")
			nick.Set(mine, "Ahab")
			send("with a nick of the application's", mine, "Ahab")
			send("and then", chat("another@x.test", "hi"), "")

			peer.Play(`
				S: <message from='writer@x.test/a' type='chat'><body>hi</body></message>
				S: <message from='bouncer@x.test' type='error'><body>hi</body></message>
				S: <message from='typist@x.test/a' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
				S: <iq type='get' id='1' from='example.test'><sync xmlns='urn:x'/></iq>
				C: <iq type='error' id='1' to='example.test'>*</iq>`)
			send("one who has written", chat("writer@x.test", "hi"), "")
			send("one whose error came", chat("bouncer@x.test", "hi"), "Ishmael")
			send("one who has only typed", chat("typist@x.test", "hi"), "Ishmael")
			n.SetNick("Ahab")
			send("with the new nick", chat("stranger@x.test", "hi"), "Ahab")
			if !withRoster {
				ofFriend = "Ahab"
			}
			send("a contact with the new nick", chat("friend@x.test", "hi"), ofFriend)
		})
	}
}

// TestNotSent: a message that could not be sent was not the first.
func TestNotSent(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t)
	n := nick.New(nick.Config{Nick: "Ishmael"})
	got := make(chan string, 10)
	srv.Client(t, "romeo", xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- nick.Of(m) })})
	s := srv.Client(t, "juliet")
	must(t, n.Activate(s))
	s.Disconnect()
	_ = s.Wait(t.Context())
	m := stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "hi")
	if err := s.Send(t.Context(), m); err == nil {
		t.Fatal("sent without a connection")
	}
	must(t, s.Login(t.Context()))
	for _, want := range []string{"Ishmael", ""} {
		must(t, s.Send(t.Context(), m))
		if g := <-got; g != want {
			t.Errorf("got %q, want %q", g, want)
		}
	}
}

// TestSec_Bounded: ever new people cost no more than a fixed amount.
func TestSec_Bounded(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		n, s, peer := pair(t, "Ishmael")
		for i := range 5000 {
			peer.Inject(fmt.Sprintf("<message from='s%d@x.test/r' type='chat'><body>hi</body></message>", i))
		}
		synctest.Wait()
		for i, want := range map[int]string{0: "Ishmael", 3999: "Ishmael", 4500: "", 4999: ""} {
			must(t, s.Send(t.Context(), stanza.NewMessage(stanza.Chat, xmpp.MustParseJID(fmt.Sprintf("s%d@x.test", i)), "hi")))
			if m, err := stanza.MessageFrom(peer.Next()); err != nil || nick.Of(m) != want {
				t.Errorf("to %d: got %q, want %q", i, nick.Of(m), want)
			}
		}
		n.Deactivate()
	})
}

func TestModule(t *testing.T) {
	n := nick.New(nick.Config{})
	var _ xmpp.FeatureProvider = n
	xmpptest.CheckDelegate(t, n)
	if n.Name() != "nick" || len(n.Features()) != 1 || n.Features()[0] != "http://jabber.org/protocol/nick" {
		t.Error(n.Name(), n.Features())
	}
}

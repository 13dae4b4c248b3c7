package avatar_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

func (c *client) set(n int, formats ...avatar.Info) {
	c.t.Helper()
	if err := c.a.Set(c.t.Context(), pic(n), formats...); err != nil {
		c.t.Errorf("Set: %v", err)
	}
}

func (c *client) remove() {
	c.t.Helper()
	if err := c.a.Remove(c.t.Context()); err != nil {
		c.t.Errorf("Remove: %v", err)
	}
}

func (c *client) send(p *stanza.Presence) {
	c.t.Helper()
	if err := c.s.Send(c.t.Context(), p); err != nil {
		c.t.Error(err)
	}
}

// TestOwnVCard is XEP-0153 sections 3.1, 4.1 and 4.2 (VC-09, VC-11): no PEP.
func TestOwnVCard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		w.set(w.cards, "", photoCard(pic(1)))
		r := new(keeper)
		c := login(t, w, avatar.Config{}, r)
		c.want("login", "presence(?) vcard: presence(#1)", "image:juliet1")
		if got := r.hash("juliet@example.test"); got != "#1" {
			t.Error("the roster has", got)
		}
		// In each presence, once, whatever is in there.
		p := stanza.NewPresence(stanza.Available, xmpp.JID{})
		c.send(p)
		c.send(p)
		p = stanza.NewPresence(stanza.Available, xmpp.MustParseJID("room@muc.example.test/juliet"))
		p.Add(stanza.New("x", avatar.NSUpdate).C("photo").T("old"), stanza.New("x", avatar.NSUpdate))
		c.send(p)
		if err := c.s.ResendMyPresence(t.Context()); err != nil {
			t.Error(err)
		}
		c.send(stanza.NewPresence(stanza.Subscribe, xmpp.MustParseJID("romeo@example.test")))
		c.send(stanza.NewPresence(stanza.Unavailable, xmpp.MustParseJID("room@muc.example.test/juliet")))
		c.want("presence", "presence(#1) presence(#1) presence(#1) presence(#1) presence() presence()", "")

		c.set(2)
		c.want("a new one", "vcard: set-vcard:#2 presence(#2)", "image:juliet2")
		c.set(2)
		c.want("the same", "", "")
		c.photo("", 2, nil)
		if card := w.cards[""]; !strings.Contains(card, "<FN>x</FN>") || !strings.Contains(card, "<TYPE>image/png</TYPE>") {
			t.Error("the rest of the vCard:", card)
		}
		c.remove()
		c.want("none", "vcard: set-vcard:"+short(avatar.Hash(nil))+" presence(none)", "none:juliet")
		c.photo("", 0, avatar.ErrNoAvatar)
		c.set(2)
		c.want("again", "vcard: set-vcard:#2 presence(#2)", "image:juliet2")

		// A new session does not announce what it has not seen.
		c.s.Disconnect()
		if err := c.s.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.want("the next session", "presence(?) vcard: presence(#2)", "")
	})
}

// TestOwnPEP is XEP-0084 sections 4.1, 4.2 and 4.5 on a server that converts (XEP-0398): one way only.
func TestOwnPEP(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		w.set(w.nodes, nodeMeta, metaItem(infoOf(pic(1))))
		w.set(w.nodes, nodeData, dataItem(hashOf(1), pic(1)))
		c := login(t, w, avatar.Config{})
		c.want("login", "presence(?) metadata: data:", "image:juliet1")
		c.send(stanza.NewPresence(stanza.Available, xmpp.JID{}))
		c.want("presence is the server's business", "presence()", "")
		c.set(2, avatar.Info{Hash: strings.ToUpper(hashOf(3)), Type: "image/webp", Bytes: 7, URL: "https://example.test/x?a&b"})
		c.want("a new one", "publish:data:#2 publish:metadata:#2 presence()", "image:juliet2")
		item, err := stanza.ParseElement(w.nodes[nodeMeta])
		if err != nil {
			t.Fatal(err)
		}
		want := "<item xmlns=\"http://jabber.org/protocol/pubsub\" id=\"" + hashOf(2) + "\"><metadata xmlns=\"urn:xmpp:avatar:metadata\"><info id=\"" + hashOf(2) + "\" type=\"image/png\" bytes=\"25\" width=\"64\" height=\"32\"/>" +
			"<info id=\"" + hashOf(3) + "\" type=\"image/webp\" bytes=\"7\" url=\"https://example.test/x?a&amp;b\"/></metadata></item>"
		if got := stanza.Compact(item); got != want {
			t.Errorf("metadata: %s\nwant %s", got, want)
		}
		if data := w.nodes[nodeData]; !strings.Contains(data, b64(pic(2))) || !strings.Contains(data, hashOf(2)) {
			t.Error("data:", data)
		}
		c.set(2)
		c.set(2)
		c.want("the same, without the other format", "publish:data:#2 publish:metadata:#2 presence()", "")
		// Another client of the account has changed it.
		time.Sleep(time.Minute)
		w.set(w.nodes, nodeMeta, metaItem(infoOf(pic(4))))
		w.set(w.nodes, nodeData, dataItem(hashOf(4), pic(4)))
		c.hear(event("juliet@example.test", infoOf(pic(4))))
		c.want("another client", "data:", "image:juliet4")
		c.hear(presence("juliet@example.test/other", photo(hashOf(4))), presence("juliet@example.test/other", photo(hashOf(5))))
		c.want("what the server puts into presence, and what it does not", "metadata:", "")
		c.remove()
		c.want("none", "publish:metadata: retract:data:#4 presence()", "none:juliet")
		if meta := w.nodes[nodeMeta]; !strings.Contains(meta, "<metadata xmlns=\"urn:xmpp:avatar:metadata\"/>") {
			t.Error("metadata:", meta)
		}
		w.refuse = "retract"
		c.set(2)
		c.w.take()
		c.remove()
		c.want("the image stays", "publish:metadata: retract:data:#2 presence()", "image:juliet2 none:juliet")
	})
}

// TestOwnConvertedPresence: without events of the own node, what the server puts into presence tells of a change.
func TestOwnConvertedPresence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		c := login(t, w, avatar.Config{})
		c.w.take()
		w.set(w.nodes, nodeData, dataItem(hashOf(1), pic(1)))
		c.hear(presence("juliet@example.test/other", photo(hashOf(1))))
		c.want("another client", "vcard: data:", "image:juliet1")
		c.hear(presence("juliet@example.test/other", update("")), presence("juliet@example.test/other", ""))
		c.want("nothing", "", "")
	})
}

// TestOwnBoth: a server with PEP that does not convert gets both.
func TestOwnBoth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(publishing...)
		c := login(t, w, avatar.Config{Public: true})
		c.want("login", "presence(?) vcard: presence(none)", "")
		c.set(1)
		c.want("both", "publish:data:#1 publish:metadata:#1 vcard: set-vcard:#1 presence(#1)", "image:juliet1")
		c.remove()
		c.want("none", "publish:metadata: retract:data:#1 vcard: set-vcard:"+short(avatar.Hash(nil))+" presence(none)", "none:juliet")
	})
}

// TestMethods: the application may insist.
func TestMethods(t *testing.T) {
	for _, tt := range []struct {
		method     avatar.Method
		login, set string
	}{
		{avatar.MethodVCard, "presence(?) presence(none) vcard:", "vcard: set-vcard:#1 presence(#1)"},
		{avatar.MethodPEP, "metadata: presence()", "publish:data:#1 publish:metadata:#1 presence()"},
	} {
		bubble(t, func(t *testing.T) {
			c := login(t, newWorld(publishing...), avatar.Config{Method: tt.method})
			got := strings.Fields(c.w.take()) // the first presence is sent while the module asks
			slices.Sort(got)
			if got := strings.Join(got, " "); got != tt.login {
				t.Errorf("login: %s", got)
			}
			c.set(1)
			c.want("set", tt.set, "image:juliet1")
		})
	}
}

// TestOwnConflicts is XEP-0153 section 4.3: other clients of the account.
func TestOwnConflicts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		w.set(w.cards, "", photoCard(pic(1)))
		c := login(t, w, avatar.Config{})
		c.w.take()
		c.heard.take()
		other := func(update string) string { return presence("juliet@example.test/other", update) }
		c.hear(other(update("")), other(photo(hashOf(1))), other(photo(strings.ToUpper(hashOf(1)))), other(photo("x")), presence("juliet@example.test", photo(hashOf(3))), presence(c.s.MyJID().String(), photo(hashOf(3))))
		c.want("nothing new", "", "")
		w.set(w.cards, "", photoCard(pic(2)))
		c.hear(other(photo(hashOf(2))))
		c.want("it has another", "presence(?) vcard: presence(#2)", "image:juliet2")
		c.hear(other(photo(hashOf(2))))
		c.want("as we have", "", "")
		w.set(w.cards, "", "")
		c.hear(other(photo("")))
		c.want("it has none", "presence(?) vcard: presence(none)", "none:juliet")
		c.hear(presence("juliet@example.test/third", photo("")))
		c.want("as we have", "", "")
		// One that does not say what is true does not make us go on for ever.
		c.hear(other(photo(hashOf(5))))
		c.want("it lies", "presence(?) vcard: presence(none)", "")
		c.hear(other(photo(hashOf(5))), other(photo(hashOf(5))))
		c.want("it lies again", "", "")
		// One that knows nothing of avatars may change the vCard without saying so.
		c.set(1)
		c.w.take()
		c.heard.take()
		c.hear(other(""))
		c.want("it says nothing", "presence(?)", "")
		c.hear(other(""), presence("juliet@example.test/third", ""))
		c.want("nor does another", "", "")
		c.hear("<presence type='unavailable' from='juliet@example.test/other'/>")
		c.want("one has gone", "", "")
		c.hear("<presence type='unavailable' from='juliet@example.test/third'/>")
		c.want("all have gone", "presence(#1)", "")
		// Another change while the vCard is being asked for.
		w.slow = time.Second
		w.set(w.cards, "", photoCard(pic(3)))
		c.srv.SendRaw(c.s.MyJID(), []byte(other(photo(hashOf(3)))))
		time.Sleep(w.slow / 2)
		w.set(w.cards, "", photoCard(pic(4)))
		c.hear(other(photo(hashOf(4))))
		c.want("two changes", "presence(?) vcard: presence(?) vcard: presence(#4)", "image:juliet4")
	})
}

// TestOwnNotReady: what is not known is not announced.
func TestOwnNotReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		w.refuse = "vcard:"
		c := login(t, w, avatar.Config{})
		c.send(stanza.NewPresence(stanza.Available, xmpp.JID{}))
		c.want("refused", "presence(?) presence(?) vcard:", "")
		if err := c.a.Set(t.Context(), pic(1)); !errors.Is(err, stanza.NotAllowed) {
			t.Error(err)
		}
		c.w.take()
		w.refuse = ""
		c.set(1)
		c.want("set", "vcard: set-vcard:#1 presence(#1)", "image:juliet1")
		c.s.Disconnect()
		w.set(w.cards, "", photoCard(append(pic(1), make([]byte, 300<<10)...)))
		if err := c.s.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.want("too large to be read", "presence(?) vcard:", "")
	})
}

// TestSetErrors: what is wrong is not published.
func TestSetErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		c := login(t, w, avatar.Config{MaxBytes: 100})
		c.w.take()
		jpeg := []byte("\xff\xd8\xff\xe0")
		for _, tt := range []struct {
			data    []byte
			formats []avatar.Info
			err     error
		}{
			{nil, nil, avatar.ErrNotPNG},
			{jpeg, nil, avatar.ErrNotPNG},
			{[]byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), nil, avatar.ErrNotPNG},
			{append(pic(1), make([]byte, 100)...), nil, avatar.ErrTooBig},
			{pic(1), []avatar.Info{{}}, xmpp.ErrInvalidParameter},
			{pic(1), []avatar.Info{{Hash: hashOf(2), Type: "image/gif", Bytes: 1}}, xmpp.ErrInvalidParameter},
			{pic(1), []avatar.Info{{Hash: "x", Type: "image/gif", Bytes: 1, URL: "https://example.test"}}, xmpp.ErrInvalidParameter},
		} {
			if err := c.a.Set(t.Context(), tt.data, tt.formats...); !errors.Is(err, tt.err) {
				t.Errorf("%.10q, %v: %v, want %v", tt.data, tt.formats, err, tt.err)
			}
		}
		c.want("nothing", "", "")
		for _, refuse := range []string{"publish:data", "publish:metadata"} {
			w.refuse = refuse
			if err := c.a.Set(t.Context(), pic(1)); !errors.Is(err, stanza.NotAllowed) {
				t.Errorf("%s: %v", refuse, err)
			}
			c.w.take()
			c.want(refuse, "", "")
		}
		w.refuse = ""
		c.set(1)
		c.want("in the end", "publish:data:#1 publish:metadata:#1 presence()", "image:juliet1")
		c.s.Disconnect()
		var lost *xmpp.DisconnectedError
		if err := c.a.Set(t.Context(), pic(2)); !errors.As(err, &lost) {
			t.Error(err)
		}
	})
}

// TestModulesThatAreThere are used; those that are not are made.
func TestModulesThatAreThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v, p := vcard.New(vcard.Config{}), pubsub.New(pubsub.Config{})
		c := login(t, newWorld(publishing...), avatar.Config{}, v, p)
		c.w.take()
		c.set(1)
		n := 0
		for range c.s.Modules() {
			n++
		}
		if n != 3 {
			t.Errorf("%d modules", n)
		}
		c = login(t, newWorld(publishing...), avatar.Config{})
		c.w.take()
		c.set(1)
		if _, ok := xmpp.ModuleOf[*vcard.VCard](c.s); !ok {
			t.Error("no vCards")
		}
		if _, ok := xmpp.ModuleOf[*pubsub.PubSub](c.s); !ok {
			t.Error("no PEP")
		}
	})
}

// TestOwnSetMeanwhile: what was asked before Set says nothing about what is there after it.
func TestOwnSetMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		w.set(w.cards, "", photoCard(pic(1)))
		c := login(t, w, avatar.Config{})
		c.w.take()
		c.heard.take()
		slow := func(d time.Duration) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.slow = d
		}
		slow(time.Second)
		done := make(chan error)
		go func() { done <- c.a.Set(t.Context(), pic(2)) }()
		time.Sleep(500 * time.Millisecond)
		slow(time.Minute)
		c.srv.SendRaw(c.s.MyJID(), []byte(presence("juliet@example.test/other", photo(hashOf(3))))) // asks for the vCard
		time.Sleep(100 * time.Millisecond)
		slow(time.Second)
		if err := <-done; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		c.want("in the end", "vcard: presence(?) vcard: set-vcard:#2 presence(#2) vcard: presence(#2)", "image:juliet2")
		c.photo("", 2, nil)
	})
}

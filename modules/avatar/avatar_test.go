package avatar_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func matches(err, want error) bool { return want != nil && errors.Is(err, want) }

const (
	nodeMeta = avatar.NSMetadata
	nodeData = avatar.NSData
)

// TestPhoto looks avatars up of whom nothing is known (VC-08).
func TestPhoto(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(publishing...)
		c := login(t, w, avatar.Config{})
		c.want("login", "presence(?) vcard: presence(none)", "")

		c.photo("nobody@example.test", 0, avatar.ErrNoAvatar)
		c.want("nobody", "metadata:nobody vcard:nobody", "")
		c.photo("nobody@example.test", 0, avatar.ErrNoAvatar)
		c.want("nobody again", "", "")

		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c.photo("romeo@example.test", 1, nil)
		c.want("vCard", "metadata:romeo vcard:romeo", "image:romeo1")
		c.photo("romeo@example.test/orchard", 1, nil)
		c.photo("romeo@example.test", 1, nil)
		c.want("stored", "", "")

		w.set(w.nodes, "nurse@example.test"+nodeMeta, metaItem(infoOf(pic(2))))
		w.set(w.nodes, "nurse@example.test"+nodeData, dataItem(hashOf(2), pic(2)))
		c.photo("nurse@example.test", 2, nil)
		c.want("PEP", "metadata:nurse data:nurse", "image:nurse2")

		w.set(w.nodes, "tybalt@example.test"+nodeMeta, metaItem(""))
		w.set(w.cards, "tybalt@example.test", photoCard(pic(3)))
		c.photo("tybalt@example.test", 0, avatar.ErrNoAvatar)
		c.want("switched off", "metadata:tybalt", "")

		// Whoever has an avatar that is known already is not asked for the image.
		w.set(w.nodes, "peter@example.test"+nodeMeta, metaItem(infoOf(pic(2))))
		c.photo("peter@example.test", 2, nil)
		c.want("known", "metadata:peter", "image:peter2")

		for of, want := range map[string]int{"romeo@example.test": 1, "nurse@example.test": 2} {
			if h, known := c.a.Hash(xmpp.MustParseJID(of)); h != hashOf(want) || !known {
				t.Error(of, h, known)
			}
		}
		if h, known := c.a.Hash(xmpp.MustParseJID("stranger@example.test")); h != "" || known {
			t.Error(h, known)
		}
		if h, known := c.a.Hash(xmpp.JID{}); h != "" || !known {
			t.Error("the own one:", h, known)
		}
		// The image is the caller's own.
		img, err := c.a.Photo(t.Context(), xmpp.MustParseJID("romeo@example.test"))
		if err != nil {
			t.Fatal(err)
		}
		img.Data[20] = 'x'
		c.photo("romeo@example.test", 1, nil)
	})
}

// TestPhotoAge: what was found out is believed for a day; where nobody can be asked, what is stored is what there is.
func TestPhotoAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		store := avatar.MemoryStorage()
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c := login(t, w, avatar.Config{Storage: store})
		c.photo("romeo@example.test", 1, nil)
		c.photo("nobody@example.test", 0, avatar.ErrNoAvatar)
		c.s.Disconnect()
		c.a.Deactivate()
		w.take()
		later := func(after time.Duration) *client {
			time.Sleep(after)
			c := login(t, w, avatar.Config{Storage: store})
			c.w.take()
			return c
		}
		c = later(time.Minute)
		c.photo("romeo@example.test", 1, nil)
		c.photo("nobody@example.test", 0, avatar.ErrNoAvatar)
		c.want("a minute later", "", "")
		c.s.Disconnect()
		c = later(time.Hour)
		c.photo("romeo@example.test", 1, nil)
		c.photo("nobody@example.test", 0, avatar.ErrNoAvatar)
		c.want("an hour later", "metadata:nobody vcard:nobody", "")
		c.s.Disconnect()
		w.set(w.cards, "romeo@example.test", photoCard(pic(2)))
		c = later(24 * time.Hour)
		c.photo("romeo@example.test", 2, nil)
		c.want("a day later", "metadata:romeo vcard:romeo", "image:romeo2")
		c.s.Disconnect()
		time.Sleep(48 * time.Hour)
		c.photo("romeo@example.test", 2, nil) // heard of in this session, which is not over for the module
		// What is old is shown where nobody can be asked, and is asked for again after a while only.
		w.refuse = "romeo"
		c = later(48 * time.Hour)
		for _, asked := range []string{"metadata:romeo vcard:romeo", "", "metadata:romeo vcard:romeo"} {
			c.photo("romeo@example.test", 2, nil)
			c.want("refused", asked, "")
			time.Sleep(9 * time.Minute)
		}
		c.s.Disconnect()
		for _, of := range []string{"nobody@example.test", "unknown@example.test"} {
			var lost *xmpp.DisconnectedError
			if _, err := c.a.Photo(t.Context(), xmpp.MustParseJID(of)); !errors.As(err, &lost) {
				t.Errorf("%s, without a connection: %v", of, err)
			}
		}
	})
}

// TestChange is what is heard of contacts (VC-10), and what follows.
func TestChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, r := newWorld(converting...), new(keeper)
		c := login(t, w, avatar.Config{}, r)
		c.want("login", "presence(?) metadata:", "")
		kept := func(want string) {
			t.Helper()
			if got := r.hash("romeo@example.test"); got != want {
				t.Errorf("the roster has %q, want %q", got, want)
			}
		}
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(1))))
		c.want("a hash", "vcard:romeo", "image:romeo1")
		kept("#1")
		c.hear(presence("romeo@example.test/orchard", photo(strings.ToUpper(hashOf(1)))), presence("romeo@example.test/garden", photo(" "+hashOf(1)+"\n")))
		c.want("the same again", "", "")
		c.hear(presence("romeo@example.test/orchard", ""), presence("romeo@example.test/orchard", update("")), "<presence type='unavailable' from='romeo@example.test/orchard'/>",
			"<presence type='error' from='romeo@example.test/orchard'>"+photo(hashOf(2))+"</presence>", "<presence type='subscribe' from='romeo@example.test'>"+photo(hashOf(2))+"</presence>")
		c.want("nothing about an avatar", "", "")
		kept("#1")
		time.Sleep(time.Minute)
		w.set(w.cards, "romeo@example.test", photoCard(pic(2)))
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(2))))
		c.want("another hash", "vcard:romeo", "image:romeo2")
		c.hear(presence("romeo@example.test/orchard", photo("")))
		c.want("none any more", "", "none:romeo")
		kept("")
		c.hear(presence("romeo@example.test/orchard", photo("")))
		c.want("none again", "", "")
		c.photo("romeo@example.test", 0, avatar.ErrNoAvatar)
		c.want("none", "", "")

		// Published metadata goes before presence.
		w.set(w.nodes, "romeo@example.test"+nodeData, dataItem(hashOf(3), pic(3)))
		time.Sleep(time.Minute)
		c.hear(event("romeo@example.test", infoOf(pic(3))))
		c.want("metadata", "data:romeo", "image:romeo3")
		w.set(w.nodes, "romeo@example.test"+nodeMeta, metaItem(infoOf(pic(3))))
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(2))))
		c.want("presence after metadata", "metadata:romeo", "")
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(2))), presence("romeo@example.test/orchard", photo(hashOf(3))))
		c.want("presence again", "", "")
		c.hear(presence("romeo@example.test/orchard", photo("")))
		c.want("none in presence", "metadata:romeo", "")
		// The metadata may go without a word.
		w.set(w.nodes, "romeo@example.test"+nodeMeta, "")
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(2))))
		c.want("no metadata", "metadata:romeo", "")
		time.Sleep(time.Minute)
		c.want("after the pause", "vcard:romeo", "image:romeo2")
		c.hear(event("romeo@example.test", infoOf(pic(3))))
		time.Sleep(time.Minute)
		c.want("metadata again", "data:romeo", "image:romeo3")
		w.set(w.nodes, "romeo@example.test"+nodeMeta, metaItem(infoOf(pic(4))))
		w.set(w.nodes, "romeo@example.test"+nodeData, dataItem(hashOf(4), pic(4)))
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(4))))
		c.want("presence before the event", "metadata:romeo data:romeo", "image:romeo4")
		c.hear(event("romeo@example.test", infoOf(pic(4))))
		c.want("and the event", "", "")
		w.set(w.nodes, "romeo@example.test"+nodeMeta, metaItem(""))
		c.hear(presence("romeo@example.test/orchard", photo("9a1e-not-a-hash")))
		c.want("empty metadata, and what Prosody makes of it", "metadata:romeo", "none:romeo")
		w.set(w.nodes, "romeo@example.test"+nodeData, dataItem(hashOf(3), pic(3)))
		time.Sleep(time.Minute)
		c.hear(event("romeo@example.test", infoOf(pic(3))))
		c.want("and again", "data:romeo", "image:romeo3")
		c.hear(event("romeo@example.test", infoOf(pic(3))))
		c.want("the same metadata", "", "")
		c.hear(event("romeo@example.test", ""))
		c.want("switched off", "", "none:romeo")
		kept("")
		time.Sleep(time.Minute)
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(2))))
		c.want("presence after that", "vcard:romeo", "image:romeo2")
		kept("#2")

		// The node, or the item, goes away.
		time.Sleep(time.Minute)
		retract := "<message from='romeo@example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:avatar:metadata'><retract id='%s'/></items></event></message>"
		c.hear(event("romeo@example.test", infoOf(pic(3))), fmt.Sprintf(retract, hashOf(1)))
		c.want("an item that nobody has", "data:romeo", "image:romeo3")
		c.hear(fmt.Sprintf(retract, hashOf(3)))
		c.want("the item", "", "none:romeo")
		time.Sleep(time.Minute)
		c.hear(event("romeo@example.test", infoOf(pic(3))))
		c.want("once more", "data:romeo", "image:romeo3")
		c.hear("<message from='romeo@example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'><delete node='urn:xmpp:avatar:metadata'/></event></message>")
		c.want("the node", "", "none:romeo")
		// An event without what it is about.
		time.Sleep(time.Minute)
		c.hear("<message from='romeo@example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:avatar:metadata'><item id='" + hashOf(3) + "'/></items></event></message>")
		c.want("an id alone", "data:romeo", "image:romeo3")
	})
}

// TestFetchPause: somebody who changes all the time is not followed all the time, but in the end.
func TestFetchPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		c := login(t, w, avatar.Config{})
		c.w.take()
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(1))))
		c.want("the first", "vcard:romeo", "image:romeo1")
		for n := range 9 {
			time.Sleep(time.Second)
			c.hear(presence("romeo@example.test/orchard", photo(hashOf(n+2))))
		}
		w.set(w.cards, "romeo@example.test", photoCard(pic(10)))
		c.want("nine within ten seconds", "", "")
		time.Sleep(2 * time.Second)
		c.want("the last of them", "vcard:romeo", "image:romeo10")
		// What has failed is tried again when it is named again.
		time.Sleep(time.Minute)
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(11))))
		c.want("a hash that the vCard does not have yet", "vcard:romeo", "failed:romeo11(avatar: the image is not the one that was announced)")
		w.set(w.cards, "romeo@example.test", photoCard(pic(11)))
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(11))))
		c.want("at once", "", "")
		time.Sleep(10 * time.Second)
		c.want("after the pause", "vcard:romeo", "image:romeo11")
	})
}

// TestPolicy: whose images are fetched.
func TestPolicy(t *testing.T) {
	for _, tt := range []struct {
		name     string
		cfg      avatar.Config
		contacts map[string]bool
		asked    string
		told     string
	}{
		{"contacts", avatar.Config{}, map[string]bool{"romeo": true}, "vcard:romeo", "image:romeo1 noted:mallory2"},
		{"no roster yet", avatar.Config{}, nil, "vcard:romeo vcard:mallory", "image:mallory2 image:romeo1"},
		{"nobody", avatar.Config{Fetch: avatar.FetchNobody}, nil, "", "noted:mallory2 noted:romeo1"},
		{"everybody", avatar.Config{Fetch: avatar.FetchEverybody, Concurrency: 1}, map[string]bool{"romeo": true}, "vcard:romeo vcard:mallory", "image:mallory2 image:romeo1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, store := newWorld(converting...), avatar.MemoryStorage()
				tt.cfg.Storage, tt.cfg.Concurrency = store, 1
				w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
				w.set(w.cards, "mallory@example.test", photoCard(pic(2)))
				c := login(t, w, tt.cfg, &keeper{contacts: tt.contacts})
				c.w.take()
				c.hear(presence("romeo@example.test/orchard", photo(hashOf(1))), presence("mallory@example.test/x", photo(hashOf(2))))
				c.want("both", tt.asked, tt.told)
				c.photo("romeo@example.test", 1, nil)
				c.photo("mallory@example.test", 2, nil)
				c.w.take()
				c.photo("romeo@example.test", 1, nil)
				c.photo("mallory@example.test", 2, nil)
				c.want("kept", "", "")
				// Nothing of strangers is stored.
				list, err := store.Load(t.Context(), c.s.MyJID().Bare())
				want := 3
				if tt.contacts != nil {
					want = 2
				}
				if err != nil || len(list) != want { // the own one, too
					t.Errorf("stored: %v, %v; want %d", list, err, want)
				}
			})
		})
	}
}

// TestStrangerBecomesContact: what was noted of a stranger is fetched and stored when they are none any more.
func TestStrangerBecomesContact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, r := newWorld(converting...), &keeper{contacts: map[string]bool{}}
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c := login(t, w, avatar.Config{}, r)
		c.w.take()
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(1))))
		c.want("a stranger", "", "noted:romeo1")
		if got := r.hash("romeo@example.test"); got != "" {
			t.Error("the roster was told", got)
		}
		c.photo("romeo@example.test", 1, nil)
		c.want("looked at", "vcard:romeo", "")
		r.contacts["romeo"] = true
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(1))))
		c.want("a contact", "vcard:romeo", "")
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(1))))
		c.want("still one", "", "")
		if got := r.hash("romeo@example.test"); got != "#1" {
			t.Error("the roster has", got)
		}
	})
}

// TestOccupants are no contacts: their avatars are noted, by the full address, and forgotten when they leave.
func TestOccupants(t *testing.T) {
	const muc = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>"
	bubble(t, func(t *testing.T) {
		w, r, store := newWorld(converting...), new(keeper), avatar.MemoryStorage()
		w.set(w.cards, "room@muc.example.test/nurse", photoCard(pic(1)))
		w.set(w.cards, "room@muc.example.test", photoCard(pic(5)))
		c := login(t, w, avatar.Config{Storage: store}, r)
		c.w.take()
		nurse := presence("room@muc.example.test/nurse", muc+photo(hashOf(1)))
		c.hear(nurse)
		c.want("an occupant", "", "noted:room@muc.example.test/nurse1")
		c.hear(nurse)
		c.want("again", "", "")
		c.photo("room@muc.example.test/nurse", 1, nil)
		c.want("looked at", "vcard:room", "")
		c.photo("room@muc.example.test/nurse", 1, nil)
		c.want("looked at again", "", "")
		c.hear(presence("room@muc.example.test/nurse", muc+photo("")))
		c.want("taken away", "", "none:room@muc.example.test/nurse")
		c.hear(nurse)
		c.heard.take()
		c.hear("<presence type='unavailable' from='room@muc.example.test/nurse'>" + muc + "</presence>")
		if h, known := c.a.Hash(xmpp.MustParseJID("room@muc.example.test/nurse")); known {
			t.Error("left, and still known:", h)
		}
		// The room itself has one.
		c.hear(presence("room@muc.example.test", photo(hashOf(5))))
		c.want("the room", "vcard:room", "image:room5")
		if list, err := store.Load(t.Context(), c.s.MyJID().Bare()); err != nil || len(list) != 2 {
			t.Errorf("stored: %v, %v", list, err)
		}
		for of := range r.kept {
			if strings.Contains(of, "/") {
				t.Error("the roster was told of", of)
			}
		}
		// A room of strangers does not take more than its share.
		for n := range 5000 {
			c.srv.SendRaw(c.s.MyJID(), []byte(presence(fmt.Sprintf("room@muc.example.test/n%d", n), muc+photo(hashOf(n%5)))))
		}
		c.hear()
		known := 0
		for n := range 5000 {
			if h, _ := c.a.Hash(xmpp.MustParseJID(fmt.Sprintf("room@muc.example.test/n%d", n))); h == hashOf(n%5) {
				known++
			}
		}
		if known != 4096 {
			t.Errorf("%d occupants are known", known)
		}
		if h, known := c.a.Hash(xmpp.MustParseJID("room@muc.example.test")); h != hashOf(5) || !known {
			t.Error("the room is forgotten")
		}
		if c.w.take() != "" {
			t.Error("the images of occupants were fetched")
		}
	})
}

// TestFetchOccupants fetches those too.
func TestFetchOccupants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		w.set(w.cards, "room@muc.example.test/nurse", photoCard(pic(1)))
		c := login(t, w, avatar.Config{FetchOccupants: true}, &rooms{room: xmpp.MustParseJID("room@muc.example.test")})
		c.w.take()
		c.hear(presence("room@muc.example.test/nurse", photo(hashOf(1)))) // known to be an occupant by the module alone
		c.want("an occupant", "vcard:room", "image:room@muc.example.test/nurse1")
		c.photo("room@muc.example.test/nurse", 1, nil)
		c.want("there", "", "")
		c.photo("room@muc.example.test/other", 0, avatar.ErrNoAvatar)
		c.want("somebody of whom nothing was heard", "vcard:room", "")
	})
}

// rooms claims what comes from a room.
type rooms struct {
	xmpp.ModuleBase
	room xmpp.JID
}

func (r *rooms) Name() string                      { return "rooms" }
func (r *rooms) Activate(s *xmpp.Stream) error     { return r.Attach(s, r, nil) }
func (r *rooms) ClaimsPresence(from xmpp.JID) bool { return from.Bare() == r.room }

func TestModule(t *testing.T) {
	checkGoroutines(t)
	a := avatar.New(avatar.Config{})
	if a.Name() != "avatar" || len(a.Features()) != 1 || a.Features()[0] != "urn:xmpp:avatar:metadata+notify" {
		t.Error(a.Name(), a.Features())
	}
	var _ xmpp.FeatureProvider = a
	xmpptest.CheckDelegate(t, a)
	xmpptest.CheckDelegate(t, new(heard), (*avatar.ChangeDelegate)(nil), (*avatar.FetchDelegate)(nil), (*avatar.StorageDelegate)(nil))
	if h, known := a.Hash(xmpp.JID{}); h != "" || known {
		t.Error(h, known)
	}
	if err := a.Set(t.Context(), pic(1)); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Error(err)
	}
	for name, d := range map[string]avatar.Delegate{"nothing": {}, "nil pointer": {Change: (*heard)(nil)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AddDelegate takes %s", name)
				}
			}()
			a.AddDelegate(d, nil)
		}()
	}
}

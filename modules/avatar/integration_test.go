package avatar_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

// picture is a real one, of a colour.
func picture(t *testing.T, n uint8) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 32, 32))
	for x := range 32 {
		for y := range 32 {
			img.Set(x, y, color.RGBA{n, uint8(x * y), uint8(x), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// person is a client of a real server.
type person struct {
	t     *testing.T
	ctx   context.Context
	s     *xmpp.Stream
	a     *avatar.Avatar
	heard *heard
}

// realClient logs an account in. One that hears of published metadata has the modules that announce that.
func realClient(t *testing.T, ctx context.Context, srv *integration.Server, address, password string, hears bool, cfg avatar.Config) *person {
	t.Helper()
	c := &person{t: t, ctx: ctx, a: avatar.New(cfg), heard: new(heard)}
	c.a.AddDelegate(avatar.Delegate{Change: c.heard, Fetch: c.heard, Storage: c.heard}, nil)
	modules := []xmpp.Module{c.a}
	if hears {
		modules = []xmpp.Module{disco.New(disco.Config{}), caps.New(caps.Config{}), c.a}
	}
	c.s = srv.Login(t, srv.Config(address, password), func(s *xmpp.Stream) {
		for _, m := range modules {
			if err := m.Activate(s); err != nil {
				t.Fatal(err)
			}
		}
	})
	// Whoever has not asked for the roster hears nothing of subscriptions.
	if _, err := c.s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster"))); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *person) me() xmpp.JID { return c.s.MyJID().Bare() }

// await waits until a delegate has heard that, and forgets what it has heard before.
func (c *person) await(want string) {
	c.t.Helper()
	var all []string
	for {
		all = append(all, strings.Fields(c.heard.now())...)
		if i := slices.Index(all, want); i >= 0 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-c.ctx.Done():
			c.t.Fatalf("%s: no %s in %q", c.me(), want, all)
		}
	}
}

// shows waits until a contact has that picture, as far as c knows, nil for none, and looks at it.
func (c *person) shows(of *person, data []byte) {
	c.t.Helper()
	want := "none:" + of.me().Local()
	if data != nil {
		want = "image:" + of.me().Local() + short(avatar.Hash(data))
	}
	c.await(want)
	img, err := c.a.Photo(c.ctx, of.me())
	switch {
	case data == nil:
		if !errors.Is(err, avatar.ErrNoAvatar) {
			c.t.Errorf("%s: %v, %v", of.me(), img, err)
		}
	case err != nil || !bytes.Equal(img.Data, data) || img.Type != "image/png":
		c.t.Errorf("%s: %v, %v", of.me(), img, err)
	}
}

func (c *person) set(data []byte) {
	c.t.Helper()
	err := error(nil)
	if data == nil {
		err = c.a.Remove(c.ctx)
	} else {
		err = c.a.Set(c.ctx, data)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestIntegration publishes on real servers, in each way, and looks from a contact who hears of it in each way.
func TestIntegration(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method avatar.Method
		hears  bool // of published metadata; otherwise of the hash in presence alone
	}{
		{"XEP-0084", avatar.MethodPEP, true},
		{"XEP-0153", avatar.MethodVCard, false},
		{"automatic, seen by XEP-0084", avatar.MethodAuto, true},
		{"automatic, seen by XEP-0153", avatar.MethodAuto, false},
		{"XEP-0153, seen by XEP-0084", avatar.MethodVCard, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			integration.Each(t, func(t *testing.T, srv *integration.Server) {
				checkGoroutines(t)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				address, password := srv.NewAccount(t)
				juliet := realClient(t, ctx, srv, address, password, tt.hears, avatar.Config{Method: tt.method})
				address2, password2 := srv.NewAccount(t)
				store := avatar.MemoryStorage()
				romeo := realClient(t, ctx, srv, address2, password2, tt.hears, avatar.Config{Storage: store})
				integration.Befriend(t, ctx, juliet.s, romeo.s)
				first, second := picture(t, 1), picture(t, 2)
				juliet.set(first)
				romeo.shows(juliet, first)
				// The image is there for the next login.
				if err := romeo.s.Close(ctx); err != nil {
					t.Error(err)
				}
				romeo = realClient(t, ctx, srv, address2, password2, tt.hears, avatar.Config{Storage: store})
				if img, err := romeo.a.Photo(ctx, juliet.me()); err != nil || !bytes.Equal(img.Data, first) {
					t.Errorf("after the next login: %v, %v", img, err)
				}
				// Another client of the account learns of it.
				desk := realClient(t, ctx, srv, address, password, tt.hears, avatar.Config{Method: tt.method})
				desk.shows(juliet, first)
				integration.Announce(t, ctx, romeo.s, juliet.s)
				juliet.set(second)
				romeo.shows(juliet, second)
				juliet.set(nil)
				romeo.shows(juliet, nil)
			})
		})
	}
}

// TestSec_FILE08_Servers publishes hostile avatars through real servers, as a contact would. Some servers refuse or repair them.
func TestSec_FILE08_Servers(t *testing.T) {
	svg := []byte("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		address, password := srv.NewAccount(t)
		victim := realClient(t, ctx, srv, address, password, true, avatar.Config{})
		whole, large := picture(t, 1), append(picture(t, 2), make([]byte, 256<<10)...)
		publish := func(hash, typ, bytes string, data []byte) func(*xmpp.Stream) error {
			return func(s *xmpp.Stream) error {
				p, err := pubsub.Of(s)
				if err != nil {
					return err
				}
				_, err = p.Publish(ctx, xmpp.JID{}, avatar.NSData, pubsub.Item{ID: hash, Payload: stanza.New("data", avatar.NSData).T(b64(data)).Element()}, nil)
				_, err2 := p.Publish(ctx, xmpp.JID{}, avatar.NSMetadata, pubsub.Item{ID: hash, Payload: stanza.New("metadata", avatar.NSMetadata).
					C("info").A("id", hash).A("type", typ).A("bytes", bytes).Element()}, nil)
				return errors.Join(err, err2)
			}
		}
		card := func(hash, typ string, data []byte) func(*xmpp.Stream) error {
			return func(s *xmpp.Stream) error {
				_, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Set, xmpp.JID{}, stanza.New("vCard", vcard.NS).C("PHOTO").C("TYPE").T(typ).Up().C("BINVAL").T(b64(data))))
				p := stanza.NewPresence(stanza.Available, xmpp.JID{})
				p.Add(stanza.New("x", avatar.NSUpdate).C("photo").T(hash))
				return errors.Join(err, s.Send(ctx, p))
			}
		}
		for _, tt := range []struct {
			name string
			do   func(*xmpp.Stream) error
			good string // the hash of what may be shown, where the server puts things right
		}{
			{"PEP, another image", publish(avatar.Hash([]byte("another")), "image/png", "100", whole), avatar.Hash(whole)}, // ejabberd
			{"PEP, SVG", publish(avatar.Hash(svg), "image/svg+xml", "70", svg), ""},
			{"PEP, SVG as PNG", publish(avatar.Hash(svg), "image/png", "70", svg), ""},
			{"PEP, announced as large", publish(avatar.Hash(whole), "image/png", "52428800", whole), avatar.Hash(whole)}, // ejabberd
			{"PEP, large", publish(avatar.Hash(large), "image/png", "100", large), ""},
			{"vCard, another image", card(avatar.Hash([]byte("another")), "image/png", whole), avatar.Hash(whole)},
			{"vCard, SVG", card(avatar.Hash(svg), "image/svg+xml", svg), ""},
			{"vCard, SVG as PNG", card(avatar.Hash(svg), "image/png", svg), ""},
			{"vCard, large", card(avatar.Hash(large), "image/png", large), ""},
		} {
			mallory := srv.Client(t)
			if _, err := mallory.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster"))); err != nil {
				t.Fatal(err)
			}
			integration.Befriend(t, ctx, victim.s, mallory)
			refused := tt.do(mallory)
			name, told := mallory.MyJID().Local(), ""
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end) && told == ""; time.Sleep(10 * time.Millisecond) {
				told = victim.heard.now()
			}
			img, err := victim.a.Photo(ctx, mallory.MyJID().Bare())
			t.Logf("%s: the server: %v; told: %s; Photo: %v", tt.name, refused, told, err)
			told += victim.heard.now()
			if strings.Contains(told, "WRONG") || strings.Contains(told, "image:"+name) && !strings.Contains(told, "image:"+name+short(tt.good)) {
				t.Errorf("%s: told %s", tt.name, told)
			}
			if err == nil && (img.Hash != tt.good || avatar.Hash(img.Data) != tt.good) {
				t.Errorf("%s: %s is shown", tt.name, img.Hash)
			}
			mallory.Disconnect()
		}
	})
}

package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
)

// account is a client with its people; those of one database go on where the last one has stopped.
type account struct {
	*xmpp.Stream
	r   *roster.Roster
	c   *caps.Caps
	v   *vcard.VCard
	a   *avatar.Avatar
	got chan string
}

func newAccount(t *testing.T, cfg xmpp.Config, db *sqlstore.DB) *account {
	t.Helper()
	if db != nil {
		cfg.Logins = db.Logins()
	}
	s, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var storage struct {
		r roster.Storage
		c caps.Storage
		v vcard.Storage
		a avatar.Storage
	}
	p := &account{Stream: s, got: make(chan string, 10)}
	if db != nil {
		storage.r, storage.c, storage.v, storage.a = db.Roster(), db.Caps(), db.VCard(), db.Avatar()
		if err := sm.New(sm.Config{Storage: db.SM()}).Activate(s); err != nil {
			t.Fatal(err)
		}
	}
	p.r, p.c = roster.New(roster.Config{Storage: storage.r}), caps.New(caps.Config{Storage: storage.c})
	p.v, p.a = vcard.New(vcard.Config{Storage: storage.v}), avatar.New(avatar.Config{Storage: storage.a})
	for _, m := range []xmpp.Module{p.r, disco.New(disco.Config{}), p.c, p.v, p.a} {
		if err := m.Activate(s); err != nil {
			t.Fatal(err)
		}
	}
	s.AddDelegate(xmpp.Delegate{
		Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
			if m.Body() != "" { // events of nodes have none
				p.got <- m.Body()
			}
		}),
	})
	t.Cleanup(func() { s.Disconnect() })
	return p
}

// message waits for one.
func (p *account) message(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-p.got:
		if got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%q has not come", want)
	}
}

// TestAccount keeps all of an account in one file while it talks to a real server; the second process knows what the first one did,
// before there is a connection, logs in with its token, takes its session over, and asks for nothing that it has.
func TestAccount(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		romeo := newAccount(t, srv.Config(srv.NewAccount(t)), nil)
		cfg, file := srv.Config(srv.NewAccount(t)), filepath.Join(t.TempDir(), "account.db")
		cfg.JID = xmpp.MustParseJID(cfg.JID.Bare().String() + "/phone")
		db := sqlstore.OpenTest(t, file, sqlstore.Config{})
		juliet := newAccount(t, cfg, db)
		must(errors.Join(romeo.Login(ctx), juliet.Login(ctx)))
		him, her := romeo.MyJID().Bare(), cfg.JID.Bare()

		var picture bytes.Buffer
		must(png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))))
		must(errors.Join(romeo.a.Set(ctx, picture.Bytes()), romeo.v.EditMyVCard(ctx, func(c *vcard.Card) error {
			c.FormattedName = "Romeo Montague"
			return nil
		})))
		must(romeo.r.Add(ctx, her, "Juliet"))
		sqlstore.Soon(t, "he has not asked", func() bool { return len(slices.Collect(juliet.r.Requests())) == 1 })
		must(juliet.r.AcceptAndAdd(ctx, him, "Romeo", "Montagues"))
		online := func(p *account) bool {
			c, _ := p.r.Contact(him)
			_, known := p.c.Known(romeo.MyJID())
			return c.Subscription() == roster.SubscriptionBoth && c.IsOnline() && known
		}
		sqlstore.Soon(t, "she does not see him", func() bool { return online(juliet) })
		card, err := juliet.v.Fetch(ctx, him)
		must(err)
		photo, err := juliet.a.Photo(ctx, him)
		must(err)
		must(errors.Join(juliet.r.Flush(ctx), juliet.Send(ctx, stanza.NewMessage(stanza.Chat, romeo.MyJID(), "before"))))
		romeo.message(t, "before")

		// The process ends, and nobody is told; he goes on.
		juliet.Fail(errors.New("killed"))
		must(db.Close())
		must(romeo.Send(ctx, stanza.NewMessage(stanza.Chat, cfg.JID, "meanwhile")))

		db = sqlstore.OpenTest(t, file, sqlstore.Config{})
		juliet = newAccount(t, cfg, db)
		c, known := juliet.r.Contact(him)
		if !known || c.Name() != "Romeo" || c.Subscription() != roster.SubscriptionBoth || c.IsOnline() {
			t.Errorf("before the login: %v %v", c, known)
		}
		sqlstore.Soon(t, "the avatar is not known before the login", func() bool {
			hash, known := juliet.a.Hash(him)
			return known && hash == photo.Hash
		})
		if again, err := juliet.v.Stored(ctx, him); err != nil || again == nil || again.Card == nil || again.Card.FormattedName != card.FormattedName {
			t.Errorf("before the login: %+v, %v", again, err)
		}
		must(juliet.Login(ctx))
		// A token is tied to the TLS connection, here to that of TLS 1.3.
		if got, want := juliet.Security().Token, srv.Kind.Has(integration.FAST, integration.ChannelBindingExporter); got != want {
			t.Errorf("logged in with the token: %t, want %t: %v", got, want, juliet.Security())
		}
		juliet.message(t, "meanwhile")
		must(juliet.r.Wait(ctx))
		sqlstore.Soon(t, "she does not see him after the restart", func() bool { return online(juliet) })
		if again, err := juliet.a.Photo(ctx, him); err != nil || again.Hash != photo.Hash || !bytes.Equal(again.Data, picture.Bytes()) {
			t.Errorf("%v, %v", again, err)
		}
	})
}

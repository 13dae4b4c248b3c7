package register_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/commands"
	"github.com/go-xmppframework/xmpp/modules/register"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmppuri"
)

var lastName atomic.Int64

// newcomer is a stream for an account that there is not yet, with the modules on it.
func newcomer(t *testing.T, srv *integration.Server, domain string, modules ...xmpp.Module) *xmpp.Stream {
	t.Helper()
	cfg := srv.Config(fmt.Sprintf("newcomer%d@%s", lastName.Add(1), domain), "")
	cfg.Credentials = nil
	return streamFor(t, cfg, modules...)
}

func streamFor(t *testing.T, cfg xmpp.Config, modules ...xmpp.Module) *xmpp.Stream {
	t.Helper()
	s, err := xmpp.New(cfg)
	must(t, err)
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	for _, m := range modules {
		must(t, m.Activate(s))
	}
	return s
}

// TestIntegrationRegister makes an account on real servers, and finds its name taken; the account is removed in the end.
func TestIntegrationRegister(t *testing.T) {
	testkit.Goroutines(t)
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r := register.New(register.Config{})
		s := newcomer(t, srv, integration.Full, r)
		must(t, s.Connect(ctx))
		if !r.Offered() {
			t.Error("registration is not offered")
		}
		f, err := r.Retrieve(ctx)
		must(t, err)
		if f.Registered || f.Redirects() || len(f.Legacy) == 0 {
			t.Errorf("asked for %v", f)
		}
		var fill *register.FillError
		if err := r.Register(ctx, f, map[string]string{"username": "x"}); !errors.As(err, &fill) {
			t.Errorf("without a password: %v", err)
		}
		account := register.Account{Password: "moon & stars, 月"}
		must(t, r.RegisterAccount(ctx, account))
		if err := r.RegisterAccount(ctx, account); !errors.Is(err, stanza.Conflict) {
			t.Errorf("twice: %v", err)
		}
		must(t, s.Login(ctx)) // on the same connection, with the password
		if f, err := r.Retrieve(ctx); err == nil && !f.Registered {
			t.Errorf("logged in, and not registered: %v", f)
		}
		must(t, r.Cancel(ctx))
		again := streamFor(t, srv.Config(s.MyJID().Bare().String(), account.Password))
		var ae *xmpp.AuthError
		if err := again.Login(ctx); !errors.As(err, &ae) {
			t.Errorf("a login that should be refused: %v", err)
		}
	})
}

// admin is a stream of who may make invitations.
func admin(t *testing.T, srv *integration.Server) (c *commands.Commands, contacts *roster.Roster) {
	t.Helper()
	c, contacts = commands.New(commands.Config{}), roster.New(roster.Config{})
	streamLogin(t, streamFor(t, srv.Config(srv.Admin(t, integration.Invited)), c, contacts))
	return c, contacts
}

func streamLogin(t *testing.T, s *xmpp.Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, s.Login(ctx))
}

func invite(t *testing.T, c *commands.Commands, node string) register.Invite {
	t.Helper()
	reply, err := c.Admin(xmpp.JID{}).Run(t.Context(), node, nil)
	must(t, err)
	inv, err := register.ReadInvite(reply.Form)
	must(t, err)
	if inv.Expires.Before(time.Now()) {
		t.Errorf("expires at %v", inv.Expires)
	}
	return inv
}

// eventually asks again and again for ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func sees(contacts *roster.Roster, whom xmpp.JID, want roster.Subscription) func() bool {
	return func() bool {
		c, ok := contacts.Contact(whom)
		return ok && c.Subscription() == want
	}
}

// TestIntegrationInvite is the whole way: the administrator makes invitations by commands, newcomers take them up, by one call each.
func TestIntegrationInvite(t *testing.T) {
	testkit.Goroutines(t)
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, adminContacts := admin(t, srv)
		admin := xmpp.MustParseJID("admin@" + integration.Invited)
		account := register.Account{Password: "a good one"}

		// an account, and nothing else
		inv := invite(t, c, register.CommandCreateAccount)
		r := register.New(register.Config{})
		s := newcomer(t, srv, integration.Invited, r)
		must(t, s.Connect(ctx))
		err := r.RegisterAccount(ctx, account)
		if se := (*stanza.Error)(nil); !errors.As(err, &se) {
			t.Errorf("without an invitation: %v", err)
		}
		if err := r.Preauth(ctx, "no such token"); !errors.Is(err, register.ErrToken) {
			t.Errorf("with a wrong token: %v", err)
		}
		must(t, r.Redeem(ctx, inv.Invitation, account))
		if !s.IsAuthenticated() || s.MyJID().Domain() != integration.Invited {
			t.Fatal(s.MyJID())
		}
		r2 := register.New(register.Config{})
		if err := r2.Activate(newcomer(t, srv, integration.Invited)); err != nil {
			t.Fatal(err)
		}
		if err := r2.Redeem(ctx, inv.Invitation, account); !errors.Is(err, register.ErrToken) {
			t.Errorf("an invitation used twice: %v", err)
		}

		// an account, and a contact
		contact := invite(t, c, register.CommandInvite)
		if !contact.Contact || contact.JID != admin || !contact.NewAccount {
			t.Fatal(contact)
		}
		r3, contacts := register.New(register.Config{}), roster.New(roster.Config{})
		s3 := newcomer(t, srv, integration.Invited, r3, contacts)
		must(t, r3.Redeem(ctx, contact.Invitation, account))
		eventually(t, "the newcomer sees who has invited", sees(contacts, admin, roster.SubscriptionBoth))
		eventually(t, "who has invited sees the newcomer", sees(adminContacts, s3.MyJID().Bare(), roster.SubscriptionBoth))

		// a contact, for who has an account
		contact = invite(t, c, register.CommandInvite)
		friends := roster.New(roster.Config{})
		r4 := register.New(register.Config{})
		s4 := streamFor(t, srv.Config(srv.NewAccountAt(t, integration.Invited)), r4, friends)
		streamLogin(t, s4)
		must(t, r4.Redeem(ctx, contact.Invitation, register.Account{}))
		eventually(t, "a friend sees who has invited", func() bool {
			c, ok := friends.Contact(admin)
			return ok && c.Subscription().To()
		})
	}, integration.Invitations)
}

// TestIntegrationInvalid takes up what is no invitation of the server, on those that know some.
func TestIntegrationInvalid(t *testing.T) {
	testkit.Goroutines(t)
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r := register.New(register.Config{})
		newcomer(t, srv, integration.Full, r)
		inv, err := xmppuri.ParseInvitation("xmpp:" + integration.Full + "?register;preauth=made-up")
		must(t, err)
		want := xmpp.ErrUnsupported
		if srv.Has(integration.Invitations) && srv.Kind != integration.Ejabberd26 { // only its other domain has them
			want = register.ErrToken
		}
		if err := r.Redeem(ctx, inv, register.Account{Password: "x"}); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	})
}

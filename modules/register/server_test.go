package register_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/register"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// stranger is a stream for somebody who has no account on the server.
func stranger(t *testing.T, srv *xmpptest.Server, name string, modules ...xmpp.Module) *xmpp.Stream {
	t.Helper()
	cfg := srv.Config("somebody")
	cfg.JID, cfg.Credentials = srv.JID(name).Bare(), nil
	return streamFor(t, cfg, modules...)
}

// TestServer makes an account on servers that ask in different ways, logs in with it, changes its password and removes it.
func TestServer(t *testing.T) {
	for name, how := range map[string]xmpptest.Registration{
		"fields": {}, "more fields": {Fields: []string{"email"}}, "form": {Form: true, Fields: []string{"email"}}, "no feature": {NoFeature: true},
		"challenge": {CAPTCHA: "a rose"}, "thrown out": {RemoveByError: true}, "form for passwords": {PasswordForm: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				srv := xmpptest.NewServer(t, xmpptest.WithRegistration(how))
				r := register.New(register.Config{})
				s := stranger(t, srv, "juliet", r)
				must(t, s.Connect(ctx))
				if r.Offered() == how.NoFeature {
					t.Errorf("offered: %t", r.Offered())
				}
				account := register.Account{Password: "secret", Email: "j@example.com"}
				err := r.RegisterAccount(ctx, account)
				if how.CAPTCHA != "" {
					var fill *register.FillError
					if !errors.As(err, &fill) || len(fill.Fields.Challenges()) != 1 {
						t.Fatal(err)
					}
					for _, answer := range []string{"a thorn", how.CAPTCHA} {
						err = r.Register(ctx, fill.Fields, map[string]string{"username": "juliet", "password": "secret", fill.Fields.Challenges()[0].Var: answer})
						if se := (*stanza.Error)(nil); answer != how.CAPTCHA && !errors.As(err, &se) {
							t.Errorf("a wrong answer: %v", err)
						}
					}
					s.SetCredentials(xmpp.Password("secret"))
				}
				must(t, err)
				if how.CAPTCHA == "" {
					if err := r.RegisterAccount(ctx, account); !errors.Is(err, stanza.Conflict) {
						t.Errorf("the name is taken: %v", err)
					}
				}
				must(t, s.Login(ctx))
				f, err := r.Retrieve(ctx)
				if err != nil || !f.Registered || f.Legacy[0].Value != "juliet" {
					t.Error(f, err)
				}
				err = r.ChangePassword(ctx, "another")
				if more := (*register.FormError)(nil); how.PasswordForm && errors.As(err, &more) {
					var filled *form.Form
					sub := more.Form.Submit().Set("old_password", "secret").Set("password", "another")
					if more.Form.Field("username") != nil {
						sub.Set("username", "juliet")
					}
					filled, err = sub.Form()
					must(t, err)
					err = r.Submit(ctx, filled)
					s.SetCredentials(xmpp.Password("another"))
				}
				must(t, err)
				s.Disconnect()
				must(t, s.Login(ctx))
				must(t, r.Cancel(ctx))
				if srv.HasAccount("juliet") {
					t.Error("the account is still there")
				}
			})
		})
	}
}

// TestServerRedirect: a server where accounts are made on a page of the web.
func TestServerRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithRegistration(xmpptest.Registration{URL: "https://example.test/new"}))
		r := register.New(register.Config{})
		must(t, stranger(t, srv, "juliet", r).Connect(t.Context()))
		var away *register.RedirectError
		if err := r.RegisterAccount(t.Context(), register.Account{Password: "secret"}); !errors.As(err, &away) || away.URL != "https://example.test/new" {
			t.Error(err)
		}
	})
}

// TestRedeem takes up invitations: for an account, for an account and a contact, and once only.
func TestRedeem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		srv := xmpptest.NewServer(t, xmpptest.WithRegistration(xmpptest.Registration{InviteOnly: true}))
		account := register.Account{Password: "secret"}
		redeem := func(name, uri string) (*roster.Roster, error) {
			r, contacts := register.New(register.Config{}), roster.New(roster.Config{})
			s := stranger(t, srv, name, r, contacts)
			err := r.Redeem(ctx, parseInvitation(t, uri), account)
			if err == nil && !s.IsAuthenticated() {
				t.Error("not logged in")
			}
			return contacts, err
		}
		inv := srv.Invitation("romeo")
		if _, err := redeem("juliet", inv.Register); err != nil {
			t.Fatal(err)
		}
		if _, err := redeem("nurse", inv.Register); !errors.Is(err, register.ErrToken) {
			t.Errorf("used twice: %v", err)
		}
		inv = srv.Invitation("romeo")
		if _, err := redeem("juliet", inv.Roster); !errors.Is(err, stanza.Conflict) {
			t.Errorf("the name is taken: %v", err)
		}
		contacts, err := redeem("nurse", inv.Roster) // the token is not used up
		must(t, err)
		synctest.Wait()
		if c, ok := contacts.Contact(srv.JID("romeo").Bare()); !ok || c.Subscription() != roster.SubscriptionBoth {
			t.Errorf("the contact is %v, %t", c.Item(), ok)
		}
		// a challenge, or a name that is taken, leaves the stream where it can go on
		r := register.New(register.Config{})
		s := stranger(t, srv, "nurse", r)
		if err := r.Redeem(ctx, parseInvitation(t, srv.Invitation("").Register), account); !errors.Is(err, stanza.Conflict) || !s.IsConnected() {
			t.Errorf("%v, %v", err, s.State())
		}
	})
}

// TestRegisterAndLeave: Login connects anew where the connection is gone since.
func TestRegisterAndLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithRegistration(xmpptest.Registration{}))
		r := register.New(register.Config{})
		s := stranger(t, srv, "juliet", r)
		if err := r.RegisterAccount(context.Background(), register.Account{Password: "x"}); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("not connected: %v", err)
		}
		must(t, s.Connect(t.Context()))
		must(t, r.RegisterAccount(t.Context(), register.Account{Password: "x"}))
		s.Disconnect()
		must(t, s.Login(t.Context()))
	})
}

package register_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/register"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var must = testkit.Must

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T) (*register.Register, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	r := register.New(register.Config{})
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, r.Activate(s)) })
	return r, s, peer
}

const (
	change  = "C: <iq type='set' id='{id}'><query xmlns='jabber:iq:register'><username>juliet</username><password>moon &amp; stars</password></query></iq>\n"
	remove  = "C: <iq type='set' id='{id}'><query xmlns='jabber:iq:register'><remove/></query></iq>\n"
	done    = "S: <iq type='result' id='{id}'/>"
	refused = "S: <iq type='error' id='{id}'><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)

// TestChangePassword is XEP-0077 section 3.3.
func TestChangePassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, peer := pair(t)
		var err error
		ask := func() { err = r.ChangePassword(t.Context(), "moon & stars") }
		as := func(id, transcript string) string { return strings.ReplaceAll(transcript, "{id}", "{"+id+"}") }
		peer.While(ask, as("a", change+done))
		must(t, err)
		peer.While(ask, as("b", change+refused))
		if !errors.Is(err, stanza.NotAllowed) {
			t.Error(err)
		}
		if err := r.ChangePassword(t.Context(), ""); !errors.Is(err, register.ErrNoPassword) {
			t.Error(err)
		}

		peer.While(ask, as("c", change+"S: <iq type='error' id='{id}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='form'>"+
			"<field type='hidden' var='FORM_TYPE'><value>jabber:iq:register:changepassword</value></field><field type='text-private' var='old_password'><required/></field></x></query>"+
			"<error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"))
		var fe *register.FormError
		if !errors.As(err, &fe) || !errors.Is(err, stanza.NotAcceptable) || fe.Form.Field("old_password") == nil {
			t.Fatal(err)
		}
		f, err := fe.Form.Submit().Set("old_password", "secret").Form()
		must(t, err)
		peer.While(func() { err = r.Submit(t.Context(), f) }, "C: <iq type='set' id='{id}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>"+
			"<field type='hidden' var='FORM_TYPE'><value>jabber:iq:register:changepassword</value></field><field type='text-private' var='old_password'><value>secret</value></field></x></query></iq>\n"+done)
		must(t, err)
	})
}

// TestCancel is XEP-0077 section 3.2: a server may answer, or just throw out who is no more.
func TestCancel(t *testing.T) {
	gone := func(condition string) string {
		return "S: <stream:error><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
	}
	for name, tt := range map[string]struct {
		answer string
		check  func(err error) bool
	}{
		"answered":   {done, func(err error) bool { return err == nil }},
		"refused":    {refused, func(err error) bool { return errors.Is(err, stanza.NotAllowed) }},
		"thrown out": {gone("not-authorized"), func(err error) bool { return err == nil }},
		"interrupted": {gone("system-shutdown"), func(err error) bool {
			var d *xmpp.DisconnectedError
			return errors.As(err, &d)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _, peer := pair(t)
				var err error
				peer.While(func() { err = r.Cancel(t.Context()) }, remove+tt.answer)
				if !tt.check(err) {
					t.Error(err)
				}
			})
		})
	}
}

func TestModule(t *testing.T) {
	r := register.New(register.Config{})
	for name, call := range map[string]func() error{
		"ChangePassword": func() error { return r.ChangePassword(t.Context(), "x") },
		"Cancel":         func() error { return r.Cancel(t.Context()) },
		"Submit":         func() error { return r.Submit(t.Context(), nil) },
	} {
		if err := call(); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIntegration changes a password on real servers, logs in with it, also by itself, and removes the account.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		address, password := srv.NewAccount(t)
		cfg := srv.Config(address, password)
		r := register.New(register.Config{})
		s := srv.Login(t, cfg, func(s *xmpp.Stream) { must(t, r.Activate(s)) })
		const another = "moon & stars, 月"
		must(t, r.ChangePassword(ctx, another))
		s.Disconnect()
		must(t, s.Login(ctx)) // with the new one
		refused := func(password string) {
			t.Helper()
			s, err := xmpp.New(srv.Config(address, password))
			must(t, err)
			defer s.Disconnect()
			var ae *xmpp.AuthError
			if err := s.Login(ctx); !errors.As(err, &ae) {
				t.Errorf("a login that should be refused: %v", err)
			}
		}
		refused(password)
		must(t, r.Cancel(ctx))
		refused(another)
	})
}

// TestSec_Clear: no password is changed where others can read it.
func TestSec_Clear(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithoutTLS())
	cfg := srv.Config("juliet")
	cfg.TLSPolicy = xmpp.InsecureTLSAllowed
	r := register.New(register.Config{})
	s, err := xmpp.New(cfg)
	must(t, err)
	defer s.Disconnect()
	must(t, r.Activate(s))
	must(t, s.Connect(t.Context()))
	if err := r.ChangePassword(t.Context(), "x"); !errors.Is(err, xmpp.ErrTLSRequired) {
		t.Error(err)
	}
}

package disco_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func answer(id, from string, features ...string) string {
	var b strings.Builder
	for _, f := range features {
		b.WriteString("<feature var='" + f + "'/>")
	}
	return fmt.Sprintf("<iq type='result' from='%s' id='%s'><query xmlns='%s'>%s</query></iq>", from, id, info, b.String())
}

// TestServer: the server and the account are asked once a session.
func TestServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithTimeout(time.Hour))
		c := srv.Config("juliet")
		c.NoInitialPresence = true
		s, err := xmpp.New(c)
		must(t, err)
		d, e := disco.New(disco.Config{}), new(events)
		d.AddDelegate(disco.Delegate{Server: e}, nil)
		if _, err := d.ServerInfo(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("not active: %v", err)
		}
		must(t, d.Activate(s))
		if _, err := d.ServerInfo(t.Context()); !errors.As(err, new(*xmpp.DisconnectedError)) {
			t.Errorf("not connected: %v", err)
		}
		e.want(t, "not connected", "not example.test: false")
		for session := range 2 {
			peer := srv.Peer("juliet")
			must(t, s.Login(t.Context()))
			t.Cleanup(s.Disconnect)
			ids := map[string]string{}
			for range 2 {
				q := peer.Next()
				ids[stanza.AttrOr(q, "to", "")] = stanza.AttrOr(q, "id", "")
			}
			if ids["example.test"] == "" || ids["juliet@example.test"] == "" {
				t.Fatalf("asked %v", ids)
			}
			if _, known := d.Known(srv.Domain()); known {
				t.Error("the server is known before it has answered")
			}
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if got, err := d.ServerInfo(t.Context()); err != nil || !got.Has("b") {
						t.Errorf("%+v, %v", got, err)
					}
				})
			}
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := d.AccountInfo(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("without an answer: %v", err)
			}
			cancel()
			peer.Inject(answer(ids["example.test"], "example.test", "a", "b"))
			wg.Wait()
			e.want(t, "the server", "server 2 true")
			peer.Inject("<iq type='error' id='" + ids["juliet@example.test"] + "' from='juliet@example.test'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
			e.want(t, "the account", "not juliet@example.test: true")
			peer.While(func() { // what has failed is asked again
				if got, err := d.AccountInfo(t.Context()); err != nil || !got.Has("c") {
					t.Errorf("%+v, %v", got, err)
				}
			}, strings.ReplaceAll(`
				C: <iq type='get' to='juliet@example.test' id='{N}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
				S: <iq type='result' from='juliet@example.test' id='{N}'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='c'/></query></iq>`, "{N}", fmt.Sprintf("{again%d}", session)))
			e.want(t, "the account, again", "account 1")
			for range 3 {
				_, err := d.AccountInfo(t.Context())
				must(t, err)
			}
			if _, known := d.Known(srv.Domain()); !known {
				t.Error("the server is not known")
			}
			if session == 0 {
				s.Disconnect()
				must(t, s.Wait(t.Context()))
				peer.Play("C!eof")
				if _, known := d.Known(srv.Domain()); !known {
					t.Error("the server is forgotten before the next session")
				}
			}
		}
		d.Deactivate()
		if _, known := d.Known(srv.Domain()); known {
			t.Error("a module that is off knows something")
		}
	})
}

// TestActivateLater: in a session, and with a question on its way when the module leaves.
func TestActivateLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, s, peer := pair(t, quiet)
		d.Deactivate()
		d, e := disco.New(disco.Config{}), new(events)
		d.AddDelegate(disco.Delegate{Server: e}, nil)
		must(t, d.Activate(s))
		peer.Next()
		peer.Next()
		done := make(chan error)
		go func() {
			_, err := d.ServerInfo(t.Context())
			done <- err
		}()
		synctest.Wait()
		d.Deactivate()
		if err := <-done; !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("deactivated: %v", err)
		}
		e.want(t, "deactivated", "")
		if err := d.Activate(s); err != nil {
			t.Error(err)
		}
		if err := d.Activate(s); !errors.Is(err, xmpp.ErrModuleActive) {
			t.Errorf("activated twice: %v", err)
		}
		other := disco.New(quiet)
		if err := other.Activate(s); !errors.Is(err, xmpp.ErrHandlerExists) {
			t.Errorf("two of them: %v", err)
		}
	})
}

// serverCache stands for modules/caps.
type serverCache struct {
	contributor
	info *disco.Info
	kept []*disco.Info
}

func (c *serverCache) Activate(s *xmpp.Stream) error              { return c.Attach(s, c, nil) }
func (c *serverCache) LoadServerInfo(context.Context) *disco.Info { return c.info }
func (c *serverCache) KeepServerInfo(_ context.Context, info *disco.Info) {
	c.kept = append(c.kept, info)
}
func (c *serverCache) DiscoIdentity() (category, typ, name string) { return "x", "y", "z" }

func TestServerCache(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, s, peer := pair(t, quiet)
		c := new(serverCache)
		must(t, c.Activate(s))
		peer.While(func() {
			_, err := d.ServerInfo(t.Context())
			must(t, err)
			_, err = d.AccountInfo(t.Context())
			must(t, err)
		}, `
			C: <iq type='get' to='example.test' id='{a}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
			S: <iq type='result' from='example.test' id='{a}'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='a'/></query></iq>
			C: <iq type='get' to='juliet@example.test' id='{b}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
			S: <iq type='result' from='juliet@example.test' id='{b}'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='b'/></query></iq>`)
		if len(c.kept) != 1 || !c.kept[0].Has("a") {
			t.Errorf("kept %v", c.kept)
		}
		d.Deactivate()
		must(t, d.Activate(s))
		c.info = c.kept[0]
		if got, err := d.ServerInfo(t.Context()); err != nil || got != c.info || len(c.kept) != 1 {
			t.Errorf("%v, %v", got, err)
		}
	})
}

package disco_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
)

// realClient logs a new account in at a real server, with the module on the stream.
func realClient(t *testing.T, srv *integration.Server, cfg disco.Config) (*disco.Disco, *xmpp.Stream) {
	t.Helper()
	d := disco.New(cfg)
	return d, srv.Client(t, func(s *xmpp.Stream) {
		must(t, d.Activate(s))
		must(t, ping.New(ping.Config{Interval: -1}).Activate(s))
	})
}

// TestIntegration asks a real server what it is, what belongs to it, and another client through it.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		d, s := realClient(t, srv, disco.Config{})
		_, other := realClient(t, srv, disco.Config{Name: "Other", NoAutoFetch: true, Features: []string{"urn:example:other"}})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()

		server, err := d.ServerInfo(ctx)
		must(t, err)
		id, ok := server.Identity("server", "im")
		if !ok || !server.Has("urn:xmpp:ping") || !server.Has(disco.NSItems) {
			t.Errorf("the server: %+v", server)
		}
		account, err := d.AccountInfo(ctx)
		must(t, err)
		if _, ok := account.Identity("pubsub", "pep"); !ok {
			t.Errorf("the account: %+v", account)
		}
		t.Logf("%s: %d features, %d forms; the account: %d features", id.Name, len(server.Features), len(server.Forms), len(account.Features))

		for _, tt := range []struct {
			name  string
			match disco.Match
		}{{"rooms", disco.Rooms}, {"uploads", disco.Uploads}, {"proxies", disco.Proxies}, {"pubsub", disco.PubSub}} {
			found, err := d.Find(ctx, tt.match)
			if err != nil || len(found) == 0 {
				t.Errorf("%s: %v, %v", tt.name, found, err)
				continue
			}
			t.Logf("%s: %v", tt.name, found[0].JID)
			if _, known := d.Known(found[0].JID); !known {
				t.Errorf("%s: not known", tt.name)
			}
			if items, err := d.Items(ctx, found[0].JID, ""); err != nil {
				t.Errorf("the items of %v: %v, %v", found[0].JID, items, err)
			}
		}
		none, err := xmpp.NewJID("nobody-is-here", s.MyJID().Domain(), "")
		must(t, err)
		if got, err := d.Info(ctx, none, ""); err == nil {
			t.Logf("an account that is not there: %+v", got)
		} else if !errors.As(err, new(*stanza.Error)) {
			t.Errorf("an account that is not there: %v", err)
		}
		// ejabberd 23 knows every node of itself.
		if _, err := d.Info(ctx, s.MyJID().DomainJID(), "urn:example:no-node"); !errors.Is(err, stanza.ItemNotFound) && (err != nil || srv.Kind != integration.Ejabberd) {
			t.Errorf("a node that is not there: %v", err)
		}

		info, err := d.Info(ctx, other.MyJID(), "")
		must(t, err)
		if id, ok := info.Identity("client", "pc"); !ok || id.Name != "Other" || !slices.Equal(info.Features, []string{disco.NSInfo, disco.NSItems, "urn:example:other", ping.NS}) {
			t.Errorf("the other client: %+v", info)
		}
		if items, err := d.Items(ctx, other.MyJID(), ""); err != nil || len(items) != 0 {
			t.Errorf("its items: %v, %v", items, err)
		}
		if _, err := d.Info(ctx, other.MyJID(), "urn:example:no-node"); !errors.Is(err, stanza.ItemNotFound) {
			t.Errorf("its node: %v", err)
		}
	})
}

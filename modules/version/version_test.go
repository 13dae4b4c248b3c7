package version_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/version"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T, cfg version.Config) (*version.Version, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	v := version.New(cfg)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		if err := v.Activate(s); err != nil {
			t.Fatal(err)
		}
	})
	return v, s, peer
}

const refused = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

// TestAnswer is XEP-0092 section 4. Only a get is answered; nothing is said of the operating system unless the application says it.
func TestAnswer(t *testing.T) {
	v, _, peer := pair(t, version.Config{Name: "Exodus & co", Version: "0.7"})
	peer.Play(`
		S: <iq from='romeo@example.test/orchard' to='{jid}' id='v1' type='get'><query xmlns='jabber:iq:version'/></iq>
		C: <iq to='romeo@example.test/orchard' from='{jid}' id='v1' type='result'><query xmlns='jabber:iq:version'><name>Exodus &amp; co</name><version>0.7</version></query></iq>
		S: <iq from='romeo@example.test/orchard' id='v2' type='set'><query xmlns='jabber:iq:version'><name>x</name></query></iq>
		C: <iq to='romeo@example.test/orchard' id='v2' type='error'>` + refused + `</iq>
		S: <iq from='romeo@example.test/orchard' id='v3' type='result'><query xmlns='jabber:iq:version'/></iq>
		C!idle 50ms`)
	v.Deactivate()
	peer.Play(`
		S: <iq from='romeo@example.test/orchard' id='v4' type='get'><query xmlns='jabber:iq:version'/></iq>
		C: <iq to='romeo@example.test/orchard' id='v4' type='error'>` + refused + `</iq>`)
}

func TestConfig(t *testing.T) {
	_, _, peer := pair(t, version.Config{Name: "n", Version: "1", OS: "Plan 9", Allow: func(from xmpp.JID) bool { return from.Local() == "romeo" }})
	peer.Play(`
		S: <iq from='romeo@example.test/orchard' id='1' type='get'><query xmlns='jabber:iq:version'/></iq>
		C: <iq to='romeo@example.test/orchard' id='1' type='result'><query xmlns='jabber:iq:version'><name>n</name><version>1</version><os>Plan 9</os></query></iq>
		S: <iq from='mallory@example.test/x' id='2' type='get'><query xmlns='jabber:iq:version'/></iq>
		C: <iq to='mallory@example.test/x' id='2' type='error'>` + refused + `</iq>`)

	v, _, peer := pair(t, version.Config{NoAnswer: true})
	peer.Play(`
		S: <iq from='romeo@example.test/orchard' id='1' type='get'><query xmlns='jabber:iq:version'/></iq>
		C: <iq to='romeo@example.test/orchard' id='1' type='error'>` + refused + `</iq>`)
	if len(v.Features()) != 0 {
		t.Errorf("features: %q", v.Features())
	}
	// Of its own accord the module says what the program is, and no more.
	sw := version.New(version.Config{}).Software()
	if sw.Name != "version.test" || sw.Version != "unknown" || sw.OS != "" {
		t.Errorf("by default: %+v", sw)
	}
}

// TestQuery reads answers, and what is none.
func TestQuery(t *testing.T) {
	v, _, peer := pair(t, version.Config{})
	romeo := xmpp.MustParseJID("romeo@example.test/orchard")
	for i, tt := range []struct {
		payload string
		want    version.Software
		err     error
	}{
		{"<query xmlns='jabber:iq:version'><name>Psi</name><version>1.5</version><os>Debian</os></query>", version.Software{Name: "Psi", Version: "1.5", OS: "Debian"}, nil},
		{"<query xmlns='jabber:iq:version'><os> </os><version/><name>Psi</name></query>", version.Software{Name: "Psi", OS: " "}, nil},
		{"<query xmlns='jabber:iq:version'><name>a</name><name>b</name><version>1<x xmlns='urn:x'>2</x></version></query>", version.Software{Name: "a", Version: "1"}, nil},
		{"<query xmlns='jabber:iq:version'/>", version.Software{}, version.ErrAnswer},
		{"<query xmlns='jabber:iq:version'><name xmlns='urn:x'>a</name><version>1</version></query>", version.Software{}, version.ErrAnswer},
		{"<query xmlns='urn:x'><name>a</name></query>", version.Software{}, version.ErrAnswer},
		{"", version.Software{}, version.ErrAnswer},
	} {
		id := string(rune('a' + i))
		peer.While(func() {
			got, err := v.Query(t.Context(), romeo)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%s: got %+v, %v, want %+v, %v", tt.payload, got, err, tt.want, tt.err)
			}
		}, `
			C: <iq to='romeo@example.test/orchard' id='{`+id+`}' type='get'><query xmlns='jabber:iq:version'/></iq>
			S: <iq from='romeo@example.test/orchard' id='{`+id+`}' type='result'>`+tt.payload+`</iq>`)
	}
}

// TestErrors: who refuses, who does not answer, and a module that is not active.
func TestErrors(t *testing.T) {
	v, _, peer := pair(t, version.Config{})
	peer.While(func() {
		if _, err := v.Query(t.Context(), xmpp.MustParseJID("example.test")); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("refused: %v", err)
		}
	}, `
		C: <iq to='example.test' id='{a}' type='get'><query xmlns='jabber:iq:version'/></iq>
		S: <iq from='example.test' id='{a}' type='error'>`+refused+`</iq>`)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := v.Query(ctx, xmpp.JID{}); !errors.Is(err, enough) {
			t.Errorf("given up: %v", err)
		}
	}()
	peer.Play(`
		C: <iq to='example.test' id='{b}' type='get'><query xmlns='jabber:iq:version'/></iq>
		S: <iq from='mallory@example.test/x' id='{b}' type='result'><query xmlns='jabber:iq:version'><name>forged</name></query></iq>
		S: <iq from='example.test' id='p' type='get'><query xmlns='jabber:iq:version'/></iq>
		C: <iq to='example.test' id='p' type='result'>*</iq>`)
	cancel(enough)
	<-done
	v.Deactivate()
	if _, err := v.Query(t.Context(), xmpp.JID{}); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("not active: %v", err)
	}
}

func TestModule(t *testing.T) {
	v := version.New(version.Config{})
	if v.Name() != "version" || strings.Join(v.Features(), " ") != "jabber:iq:version" {
		t.Error(v.Name(), v.Features())
	}
	var _ xmpp.FeatureProvider = v
	s, _ := xmpptest.Pair(t)
	if _, err := s.HandleIQ(stanza.Get, version.NS, "query", nil, func(context.Context, *xmpp.Stream, *stanza.IQ) {}); err != nil {
		t.Fatal(err)
	}
	if err := v.Activate(s); !errors.Is(err, xmpp.ErrHandlerExists) || v.Stream() != nil {
		t.Errorf("with a handler before it: %v", err)
	}
}

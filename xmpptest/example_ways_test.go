package xmpptest_test

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// Somebody who was invited makes an account, and is a contact of who has invited.
func ExampleServer_Invitation() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t, xmpptest.WithRegistration(xmpptest.Registration{InviteOnly: true}))
		invitation := srv.Invitation("juliet")

		config := srv.Config("juliet")
		config.JID, config.Credentials = srv.JID("nurse"), xmpp.Password("a new one")
		nurse, err := xmpp.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer nurse.Close(t.Context())
		if err := nurse.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		token := stanza.New("preauth", "urn:xmpp:pars:0").A("token", invitation.Token)
		if _, err := nurse.SendIQBeforeLogin(t.Context(), stanza.NewIQ(stanza.Set, xmpp.JID{}, token)); err != nil {
			t.Fatal(err)
		}
		account := stanza.New("query", "jabber:iq:register").C("username").T("nurse").Up().C("password").T("a new one")
		if err := nurse.Register(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		if err := nurse.Authenticate(t.Context(), config.Credentials); err != nil {
			t.Fatal(err)
		}
		roster, err := nurse.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster")))
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range roster.Payload().ChildElements() {
			fmt.Println(item.SelectAttrValue("jid", ""), item.SelectAttrValue("subscription", ""))
		}
	})
	// Output: juliet@example.test both
}

// What a client finds that looks for other ways than TCP.
func ExampleServer_WebSocketURL() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t)
		config := srv.Config("juliet")
		web := &http.Transport{DialContext: config.Dial, TLSClientConfig: &tls.Config{RootCAs: config.RootCAs}}
		defer web.CloseIdleConnections()
		res, err := (&http.Client{Transport: web}).Get("https://example.test/.well-known/host-meta")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		links, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, url := range []string{srv.WebSocketURL(), srv.BOSHURL()} {
			fmt.Println(url, strings.Contains(string(links), url))
		}
	})
	// Output:
	// wss://example.test/xmpp-websocket true
	// https://example.test/http-bind true
}

// A component says who it is, and hears what is sent to its domain.
func ExampleServer_AddComponent() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t)
		bot := srv.AddComponent("bot.example.test", "secret")
		conn, err := bot.Dial(context.Background(), "tcp", "example.test:5347")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		read := func(end string) string {
			var got strings.Builder
			for b := make([]byte, 1); !strings.HasSuffix(got.String(), end); got.Write(b) {
				if _, err := conn.Read(b); err != nil {
					t.Fatal(err)
				}
			}
			return got.String()
		}
		io.WriteString(conn, "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='bot.example.test'>")
		header := strings.ReplaceAll(read("'>"), `"`, "'")
		_, id, _ := strings.Cut(header, " id='")
		id, _, _ = strings.Cut(id, "'")
		fmt.Fprintf(conn, "<handshake>%x</handshake>", sha1.Sum([]byte(id+"secret")))
		read("<handshake/>")

		juliet := srv.Client(t, "juliet")
		to := xmpp.MustParseJID("anybody@bot.example.test")
		if err := juliet.Send(t.Context(), stanza.NewMessage(stanza.Chat, to, "Art thou a bot?")); err != nil {
			t.Fatal(err)
		}
		fmt.Println(bot.Connected(), strings.Contains(read("</message>"), "Art thou a bot?"))
	})
	// Output: true true
}

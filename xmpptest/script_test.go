package xmpptest_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.Script(t, `
			S!login juliet
			C: <presence/>
			C: <iq type='get' id='{id}' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>
			S: <iq type='result' id='{id}' from='{domain}' to='{jid}'/>
			S!reset`, `
			S!login
			C: <presence/>
			C: </stream:stream>`)
		stream := srv.Client(t, "juliet")
		if _, err := stream.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, srv.Domain(), stanza.New("ping", "urn:xmpp:ping"))); err != nil {
			t.Fatal(err)
		}
		if err := stream.Wait(t.Context()); err == nil {
			t.Error("the connection was not reset")
		}
		if err := stream.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := stream.Close(t.Context()); err != nil {
			t.Error(err)
		}
		srv.Wait()
	})
}

func TestScriptFailsLoudly(t *testing.T) {
	got := failures(t, func(fake testing.TB) {
		srv := xmpptest.Script(fake, `
			S!login
			C: <presence><show>away</show></presence>`)
		stream := srv.Client(fake, "juliet")
		stream.Wait(t.Context())
		srv.Wait()
	})
	contains(t, got, "transcript 1: script line 3: at /presence: missing <show xmlns='jabber:client'>",
		"want:\n  <presence", "    <show>away</show>", "got:\n  <presence")
	if n := strings.Count(got, "script line"); n != 1 {
		t.Errorf("reported %d times:\n%s", n, got)
	}

	got = failures(t, func(fake testing.TB) {
		srv := xmpptest.Script(fake, "S!login\nC: <presence/>")
		stream := srv.Client(fake, "juliet")
		stream.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "not in the script"))
		stream.Wait(t.Context())
	})
	contains(t, got, "the script is over, the client goes on with", "not in the script")

	contains(t, failures(t, func(fake testing.TB) { xmpptest.Script(fake, "S!login") }), "no client has connected")
	contains(t, failures(t, func(fake testing.TB) {
		xmpptest.ScriptWith(fake, []xmpptest.Option{xmpptest.WithTimeout(10 * time.Millisecond)}, "S!login").Wait()
	}), "no client has connected within 10ms")
	contains(t, failures(t, func(fake testing.TB) { xmpptest.Script(fake, "S!login", "C: <a>") }), "transcript 2: script line 1")
	contains(t, failures(t, func(fake testing.TB) { xmpptest.Script(fake) }), "without a transcript")
}

func TestScriptEndsWithStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.Script(t, "S!login\nC: <presence/>\nS!stall")
		srv.Client(t, "juliet")
		srv.Wait()
	})
}

func TestPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		messages := inbox(make(chan *stanza.Message, 1))
		s, p := xmpptest.Pair(t, func(s *xmpp.Stream) { s.AddDelegate(xmpp.Delegate{Message: messages}) })
		p.Inject("<message from='romeo@example.test' id='1'><body>hi</body></message>")
		if m := <-messages; m.Body() != "hi" {
			t.Errorf("got %q", m.Body())
		}
		s.Send(t.Context(), stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("romeo@example.test"), "ho"))
		p.Expect("<message to='romeo@example.test' type='chat' id='*'><body>ho</body></message>")

		var answer *stanza.IQ
		var err error
		p.While(func() {
			answer, err = s.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, xmpp.MustParseJID("example.test"), stanza.New("q", "urn:q")))
		}, `
			C: <iq type='get' to='example.test' id='{id}'><q xmlns='urn:q'/></iq>
			S: <iq type='result' from='example.test' id='{id}'><q xmlns='urn:q' n='1'/></iq>`)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := stanza.Attr(answer.Payload(), "n"); n != "1" {
			t.Errorf("answer: %v", answer)
		}

		s.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{}))
		if e := p.Next(); e.Tag != "presence" {
			t.Errorf("got %s", e.Tag)
		}
		p.Play("S!reset")
		if err := s.Wait(t.Context()); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
	})
	got := failures(t, func(fake testing.TB) {
		s, p := xmpptest.Pair(fake)
		p.While(func() {
			s.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:q")))
		}, "C: <iq type='get' id='*'><q xmlns='urn:other'/></iq>")
		t.Error("While has returned")
	})
	contains(t, got, "xmpptest: at /iq/: want <q xmlns='urn:other'>, got <q xmlns='urn:q'>")
}

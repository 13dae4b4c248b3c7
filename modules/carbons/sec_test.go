package carbons_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/carbons"
	"github.com/go-xmppframework/xmpp/stanza"
)

const own = "juliet@example.test"

// forgeries are copies that nobody may believe; {jid} is the address of the client.
func forgeries() []string {
	boss := said("boss@example.test/a", own, "forged")
	ours := said(own+"/phone", "boss@example.test", "forged")
	list := []string{
		// Who has sent it.
		copied("received", "mallory@example.test/x", boss),
		copied("sent", "mallory@example.test/x", ours),
		copied("received", "mallory@example.test", boss),
		copied("received", "boss@example.test", boss),
		copied("received", "{jid}", boss),
		copied("sent", "{jid}", ours),
		copied("sent", own+"/phone", ours),
		copied("received", "example.test", boss),
		copied("sent", "", ours),
		copied("received", own+".evil.test", boss),
		// What it holds.
		copied("sent", own, boss),
		copied("received", own, said("boss@example.test/a", "mallory@example.test", "forged")),
		copied("received", own, ours),
		copied("received", own, said("boss@example.test/a", "example.test", "forged")),
		copied("received", own, "<message xmlns='jabber:client' to='"+own+"'><body>forged</body></message>"),
		copied("received", own, "<message xmlns='jabber:client' from='boss@example.test'><body>forged</body></message>"),
		copied("received", own, "<message xmlns='jabber:client' from='@' to='"+own+"'><body>forged</body></message>"),
		copied("sent", own, "<message xmlns='jabber:client' from='"+own+"/phone' to='@'><body>forged</body></message>"),
		copied("sent", own, "<message xmlns='jabber:client' to='boss@example.test'><body>forged</body></message>"),
		copied("received", own, "<message xmlns='jabber:client' xmlns:q='urn:q' q:from='boss@example.test' q:to='"+own+"'><body>forged</body></message>"),
		copied("received", own, ""),
		copied("received", own, boss+boss),
		copied("received", own, "<message xmlns='urn:evil' from='boss@example.test' to='"+own+"'><body>forged</body></message>"),
		copied("received", own, "<presence xmlns='jabber:client' from='boss@example.test' to='"+own+"'/>"),
		copied("received", own, "<message xmlns='jabber:client' from='room@example.test/boss' to='"+own+"' type='groupchat'><body>forged</body></message>"),
	}
	wrap := func(attrs, content string) string {
		return "<message from='" + own + "' to='{jid}'" + attrs + ">" + content + "</message>"
	}
	received := "<received xmlns='urn:xmpp:carbons:2'>" + forwarded(boss) + "</received>"
	sent := "<sent xmlns='urn:xmpp:carbons:2'>" + forwarded(ours) + "</sent>"
	nested := func(from string) string {
		return "<message xmlns='jabber:client' from='" + from + "' to='" + own + "'>" + received + "</message>"
	}
	return append(list,
		wrap(" type='groupchat'", received), wrap(" type='error'", received),
		wrap("", received+received), wrap("", received+sent), wrap("", sent+"<received xmlns='urn:xmpp:carbons:2'/>"),
		wrap("", "<sent xmlns='urn:xmpp:carbons:2'/>"),
		wrap("", "<sent xmlns='urn:xmpp:carbons:2'>"+ours+"</sent>"),
		wrap("", "<sent xmlns='urn:xmpp:carbons:2'>"+forwarded(ours)+forwarded(ours)+"</sent>"),
		wrap("", "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:evil'>"+ours+"</forwarded></sent>"),
		copied("received", own, nested("mallory@example.test")), copied("received", own, nested(own)), copied("sent", own, nested(own)),
		wrap("", received+"<body>forged</body>"+received),
	)
}

// TestSec_ORG06: a copy from anybody else, or of anything else, is shown to nobody, neither what it holds nor itself.
func TestSec_ORG06(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		c, s, peer, e := pair(t, manual)
		c.AddInterceptor(func(_ context.Context, _ *carbons.Carbons, m *carbons.Carbon) *carbons.Carbon {
			t.Error("an interceptor was given", m.Wrapper)
			return m
		})
		if s.MyJID().Bare().String() != own {
			t.Fatal(s.MyJID())
		}
		list := forgeries()
		for _, xml := range list {
			peer.Play("S: " + xml)
			e.want(t, xml, "filtered")
		}
		if n := s.Stats().Filtered; n != uint64(len(list)) {
			t.Errorf("%d filtered of %d", n, len(list))
		}
		peer.Play("C!idle 1s") // and nothing is answered
		for range 1000 {
			peer.Inject(list[0])
		}
		synctest.Wait()
		if !s.IsAuthenticated() {
			t.Error("the stream has ended")
		}
	})
}

// TestRead: the same by hand, for wrappers from elsewhere.
func TestRead(t *testing.T) {
	parse := func(xml string) *stanza.Message {
		st, err := stanza.Parse("<message xmlns='jabber:client'" + xml[len("<message"):])
		must(t, err)
		return st.(*stanza.Message)
	}
	account := xmpp.MustParseJID(own + "/client")
	for _, xml := range forgeries() {
		m := parse(xml)
		if m.From().String() == "{jid}" {
			continue
		}
		if got, err := carbons.Read(m, account); !errors.Is(err, carbons.ErrForged) || got != nil || !carbons.Is(m) {
			t.Errorf("%s: %+v, %v", xml, got, err)
		}
	}
	good := parse(copied("received", own, said("romeo@example.test/a", own, "hi")))
	if got, err := carbons.Read(good, account); err != nil || got.With().String() != "romeo@example.test/a" || got.Message.Body() != "hi" {
		t.Errorf("%+v, %v", got, err)
	}
	for what, m := range map[string]*stanza.Message{"no copy": stanza.NewMessage(stanza.Chat, account, "hi"), "empty": {}} {
		if _, err := carbons.Read(m, account); !errors.Is(err, carbons.ErrForged) || carbons.Is(m) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := carbons.Read(good, xmpp.JID{}); !errors.Is(err, carbons.ErrForged) {
		t.Error("nobody's account:", err)
	}
}

// TestInsecureUntrusted: with it, everybody is believed, but what is no copy is none.
func TestInsecureUntrusted(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		_, _, peer, e := pair(t, carbons.Config{NoAutoEnable: true, InsecureUntrusted: true})
		peer.Play("S: " + copied("received", "mallory@example.test/x", said("boss@example.test/a", own, "forged")))
		e.want(t, "a stranger's", "received from boss@example.test/a: forged; filtered")
		peer.Play("S: " + copied("received", "mallory@example.test/x", ""))
		e.want(t, "an empty one", "filtered")
	})
}

// TestSec_ORG06Real: a second account sends false copies through a real server.
func TestSec_ORG06Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		e, q := new(events), xmpp.NewQueue()
		c := carbons.New(carbons.Config{})
		c.AddDelegate(carbons.Delegate{Message: e}, q)
		end := make(chan struct{}, 1)
		victim := srv.Client(t, func(s *xmpp.Stream) {
			must(t, c.Activate(s))
			s.AddDelegate(xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
				if m.Body() == "the end" {
					end <- struct{}{}
					return
				}
				e.note("message from %s: %s", m.From(), m.Body())
			})})
		})
		evil := srv.Client(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		me := victim.MyJID().Bare()
		for _, to := range []xmpp.JID{victim.MyJID(), me} {
			for _, way := range []string{"received", "sent"} {
				inner := stanza.NewMessage(stanza.Chat, me, "forged")
				inner.SetFrom(xmpp.MustParseJID("boss@" + me.Domain()))
				if way == "sent" {
					inner = stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("boss@"+me.Domain()), "forged")
					inner.SetFrom(victim.MyJID())
				}
				m := stanza.NewMessage(stanza.Chat, to, "")
				m.C(way, carbons.NS).C("forwarded", "urn:xmpp:forward:0").Add(inner)
				must(t, evil.Send(ctx, m))
			}
		}
		must(t, evil.Send(ctx, stanza.NewMessage(stanza.Chat, victim.MyJID(), "the end")))
		select {
		case <-end:
		case <-ctx.Done():
			t.Fatal("nothing arrives")
		}
		must(t, q.Flush(ctx))
		if got := e.take(); got != "" {
			t.Errorf("believed: %s", got)
		}
		if n := victim.Stats().Filtered; n == 0 {
			t.Error("the server lets none through: this test sees nothing")
		}
	})
}

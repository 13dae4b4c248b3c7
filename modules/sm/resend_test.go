package sm_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestResend moves messages to a new session, and nothing else.
func TestResend(t *testing.T) {
	cfg := quiet
	cfg.ResendOnNewSession = true
	origin := "<origin-id xmlns='urn:xmpp:sid:0' id='{id}'/>"
	first := func(id, rest string) string {
		return strings.ReplaceAll("\nC: <message to='romeo@example.test' type='chat' id='{id}'><body>{id}</body>"+rest+"</message>", "{id}", id)
	}
	delay := "<delay xmlns='urn:xmpp:delay' stamp='*'/>"
	c, srv := scripted(t, cfg, begin+first("id-1", origin)+first("id-2", origin)+"\nC: <presence/>"+
		"\nC: <message type='error' id='e'/>\nC: <message type='chat' id='m'/>\nC: <message type='chat' id='o'><body>o</body><origin-id xmlns='urn:xmpp:sid:0' id='own'/><delay xmlns='urn:xmpp:delay' stamp='then'/></message>"+
		"\nS: <a xmlns='urn:xmpp:sm:3' h='1'/>\nS!reset",
		"S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>\nS: <failed xmlns='urn:xmpp:sm:3'/>"+strings.ReplaceAll(begin, "s1", "s2")+
			first("id-2", origin+delay)+"\nC: <message type='chat' id='m'>"+delay+"</message>\nC: <message type='chat' id='o'><body>o</body><origin-id xmlns='urn:xmpp:sid:0' id='own'/><delay xmlns='urn:xmpp:delay' stamp='then'/></message>"+
			first("id-3", origin+delay)+"\nC: <message id='new'/>"+
			"\nS: <a xmlns='urn:xmpp:sm:3' h='2'/>\nC!rest")
	c.login()
	before := time.Now()
	send := func(st stanza.Stanza, typ, id string) *xmpp.Receipt {
		st.SetAttr("type", typ)
		st.SetID(id)
		r, err := c.SendReceipt(t.Context(), st)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	text := func(id string) *xmpp.Receipt {
		return send(stanza.NewMessage(stanza.Chat, srv.JID("romeo"), id), "chat", id)
	}
	rs := []*xmpp.Receipt{text("id-1"), text("id-2"), send(stanza.NewPresence(stanza.Available, xmpp.JID{}), "", "")}
	rs = append(rs, send(stanza.NewMessage(stanza.ErrorMessage, xmpp.JID{}, ""), "error", "e"), send(stanza.NewMessage(stanza.Chat, xmpp.JID{}, ""), "chat", "m"))
	own := stanza.NewMessage(stanza.Chat, xmpp.JID{}, "o")
	own.Add(stanza.New("origin-id", "urn:xmpp:sid:0").A("id", "own"), stanza.New("delay", "urn:xmpp:delay").A("stamp", "then"))
	rs = append(rs, send(own, "chat", "o"))
	_ = c.ended()
	rs = append(rs, text("id-3"))
	iq := make(chan error, 1)
	go func() {
		_, err := c.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("ping", "urn:xmpp:ping")))
		iq <- err
	}()
	for c.m.Stats().Unacked < 7 {
		time.Sleep(time.Millisecond)
	}
	c.heard("enabled(true); acked(id-1)")
	var stamps []string
	c.AddDelegate(xmpp.Delegate{Sent: sentStamps{&stamps}})
	c.login()
	if err := <-iq; err == nil {
		t.Error("a request of the session that is over has an answer")
	}
	rs = append(rs, send(stanza.NewMessage(stanza.Chat, xmpp.JID{}, ""), "", "new"))
	c.heard("not resumed(undefined-condition); end(presence,,iq); enabled(true); acked(id-2,)")
	srv.Wait()
	if got := states(rs); got != "acked,acked,unknown,unknown,acked,pending,pending,pending" {
		t.Error(got)
	}
	if st := c.m.Stats(); st.Resent != 4 || st.Refused != 1 || st.Sessions != 2 {
		t.Errorf("%+v", st)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
	if len(stamps) < 3 {
		t.Fatalf("stamps: %v", stamps)
	}
	for _, s := range stamps[:2] {
		if at, err := datetime.Parse(s); err != nil || at.Before(before.Add(-time.Millisecond)) || at.After(time.Now()) || !strings.HasSuffix(s, "Z") || len(s) != len("2026-01-02T03:04:05.678Z") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

type sentStamps struct{ list *[]string }

func (s sentStamps) DidSendIQ(context.Context, *xmpp.Stream, *stanza.IQ) {}

func (s sentStamps) DidSendPresence(context.Context, *xmpp.Stream, *stanza.Presence) {}

func (s sentStamps) DidSendMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	if d := m.Child("delay", "urn:xmpp:delay"); d != nil {
		*s.list = append(*s.list, stanza.AttrOr(d, "stamp", ""))
	}
}

// TestLocation goes where the server wants to be resumed, and nowhere else if that makes no sense.
func TestLocation(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "host": "host:5222 false", "host:5269": "host:5269 true", "192.0.2.1": "192.0.2.1:5222 false", "192.0.2.1:1": "192.0.2.1:1 true",
		"[2001:db8::1]": "[2001:db8::1]:5222 false", "[2001:db8::1]:99": "[2001:db8::1]:99 true", "2001:db8::1": "[2001:db8::1]:5222 false",
		"a:b:c": "", "[x": "", "ho st": "", "http://host/": "", "]:1": "",
	} {
		addr, port := sm.Location(in)
		got := ""
		if addr != "" {
			got = fmt.Sprint(addr, " ", port)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, tt := range []struct{ location, want string }{
		{"other.example:5300", "other.example:5300"}, {"other.example", "other.example:5222"}, {"other.example:0", "example.test:5222"}, {"", "example.test:5222"},
	} {
		t.Run(tt.location, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *xmpptest.Server) {
				cfg := srv.Config("juliet")
				dial := cfg.Dial
				var dialled []string
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialled = append(dialled, addr)
					return dial(ctx, network, "example.test:5222")
				}
				c := newClient(t, cfg, quiet)
				c.login()
				settle()
				c.lose(srv)
				c.login()
				if len(dialled) != 2 || dialled[1] != tt.want {
					t.Errorf("dialled %v, want %s", dialled, tt.want)
				}
				if c.m.Stats().Resumed != 1 {
					t.Error("not resumed")
				}
				c.Disconnect()
				settle()
				c.login()
				if dialled[2] != "example.test:5222" {
					t.Errorf("dialled %v", dialled)
				}
			}, xmpptest.WithStreamManagement(xmpptest.StreamManagement{Location: tt.location}))
		})
	}
}

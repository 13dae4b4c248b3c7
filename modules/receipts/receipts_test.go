package receipts_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/receipts"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestElements are the examples of XEP-0184 section 7, and what is none.
func TestElements(t *testing.T) {
	for _, tt := range []struct {
		xml      string
		request  bool
		response bool
		id       string
		answer   string // to and type of the receipt
	}{
		{"<message from='n@e.lit/w' id='1' to='k@r.lit/t'><body>My lord</body>" + request + "</message>", true, false, "", "n@e.lit/w normal"},
		{"<message from='n@e.lit/w' id='1' type='chat'><body>My lord</body></message>", false, false, "", "n@e.lit/w chat"},
		{"<message from='r@c.lit/n' id='1' type='groupchat'><body>My lord</body>" + request + "</message>", true, false, "", "r@c.lit groupchat"},
		{"<message from='k@r.lit/t' id='2'>" + received("1") + "</message>", false, true, "1", ""},
		{"<message from='k@r.lit/t' id='2'><received xmlns='urn:xmpp:receipts'/></message>", false, true, "", ""},
		{"<message from='k@r.lit/t' id='2'><r:received xmlns:r='urn:xmpp:receipts' id='1'/><received xmlns='urn:x' id='0'/></message>", false, true, "1", ""},
		{"<message from='k@r.lit/t'>" + request + "</message>", true, false, "", ""},
		{"<message id='1'>" + request + "</message>", true, false, "", ""},
		{"<message from='k@r.lit/t' id='1' type='error'>" + request + "</message>", true, false, "", ""},
		{"<message from='k@r.lit/t' id='1'><request/><x xmlns='urn:x'>" + request + "</x></message>", false, false, "", "k@r.lit/t normal"},
	} {
		m := parse(t, tt.xml)
		answer := ""
		if a := receipts.Response(m); a != nil {
			answer = a.To().String() + " " + string(a.Type())
			if a.ID() == "" || a.ID() == m.ID() || receipts.ResponseID(a) != m.ID() || len(a.Element().Child) != 1 {
				t.Errorf("%s: the receipt is %s", tt.xml, stanza.Compact(a.Element()))
			}
		}
		if receipts.HasRequest(m) != tt.request || receipts.HasResponse(m) != tt.response || receipts.ResponseID(m) != tt.id || answer != tt.answer {
			t.Errorf("%s: got %v, %v, %q, %q", tt.xml, receipts.HasRequest(m), receipts.HasResponse(m), receipts.ResponseID(m), answer)
		}
		receipts.AddRequest(m)
		receipts.AddRequest(m)
		n := 0
		for range stanza.Children(m.Element(), "request", receipts.NS) {
			n++
		}
		if want := 1; !tt.response && n != want || tt.response && n != 0 {
			t.Errorf("%s: %d requests after AddRequest", tt.xml, n)
		}
	}
}

// TestRequest: which messages ask for a receipt by themselves.
func TestRequest(t *testing.T) {
	checkGoroutines(t)
	for _, cfg := range []receipts.Config{{}, {Request: true}} {
		r, s, peer, _ := pair(t, cfg)
		must(t, new(caps).Activate(s))
		for _, tt := range []struct {
			xml  string
			asks bool
		}{
			{"<message to='romeo@example.test' type='chat' id='1'><body>hi</body></message>", true},
			{"<message to='romeo@example.test' id='1'><body>hi</body></message>", true},
			{"<message to='romeo@example.test' type='headline' id='1'><body>hi</body></message>", true},
			{"<message to='romeo@example.test/can' type='chat' id='1'><body>hi</body></message>", true},
			{"<message to='romeo@example.test/unknown' type='chat' id='1'><body>hi</body></message>", true},
			{"<message to='romeo@example.test/cannot' type='chat' id='1'><body>hi</body></message>", false},
			{"<message to='romeo@example.test' type='chat'><body>hi</body></message>", false},
			{"<message type='chat' id='1'><body>hi</body></message>", false},
			{"<message to='romeo@example.test' type='chat' id='1'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", false},
			{"<message to='romeo@example.test' type='chat' id='1'><body>hi</body>" + received("0") + "</message>", false},
			{"<message to='room@example.test' type='groupchat' id='1'><body>hi</body></message>", false},
			{"<message to='romeo@example.test' type='error' id='1'><body>hi</body></message>", false},
		} {
			m := parse(t, tt.xml)
			before := stanza.Compact(m.Element())
			must(t, s.Send(t.Context(), m))
			out := val(stanza.MessageFrom(peer.Next()))
			if receipts.HasRequest(out) != (tt.asks && cfg.Request) || stanza.Compact(m.Element()) != before {
				t.Errorf("%+v: %s: sent %s", cfg, tt.xml, stanza.Compact(out.Element()))
			}
		}
		cfg.Request = !cfg.Request
		r.Configure(cfg)
		must(t, s.Send(t.Context(), message("romeo@example.test", "2")))
		if out := val(stanza.MessageFrom(peer.Next())); receipts.HasRequest(out) != cfg.Request {
			t.Errorf("reconfigured: %v", out)
		}
	}
}

// TestAnswer: which messages are answered by themselves, and with what.
func TestAnswer(t *testing.T) {
	checkGoroutines(t)
	const (
		body = "<body>hi</body>" + request
		all  = "all"
	)
	for _, tt := range []struct {
		name   string
		xml    string
		answer string // "" none
	}{
		{"a friend", "<message from='friend@x.test/a' to='{jid}' type='chat' id='1'>" + body + "</message>", "<message to='friend@x.test/a' type='chat' id='*'>" + received("1") + "</message>"},
		{"to the bare address", "<message from='friend@x.test/a' to='juliet@example.test' type='chat' id='1'>" + body + "</message>", "<message to='friend@x.test/a' type='chat' id='*'>" + received("1") + "</message>"},
		{"of type normal", "<message from='friend@x.test/a' id='1'><thread>t</thread>" + body + "</message>", "<message to='friend@x.test/a' id='*'>" + received("1") + "</message>"},
		{"kept while offline", "<message from='friend@x.test/a' type='chat' id='1'>" + body + "<delay xmlns='urn:xmpp:delay' from='example.test' stamp='2026-01-01T00:00:00Z'/></message>", "<message to='friend@x.test/a' type='chat' id='*'>" + received("1") + "</message>"},
		{"the own account", "<message from='juliet@example.test/other' type='chat' id='1'>" + body + "</message>", "<message to='juliet@example.test/other' type='chat' id='*'>" + received("1") + "</message>"},
		{"a stranger", "<message from='stranger@x.test/a' type='chat' id='1'>" + body + "</message>", all},
		{"no request", "<message from='friend@x.test/a' type='chat' id='1'><body>hi</body></message>", ""},
		{"no id", "<message from='friend@x.test/a' type='chat'>" + body + "</message>", ""},
		{"an error", "<message from='friend@x.test/a' type='error' id='1'>" + body + "</message>", ""},
		{"to all in a room", "<message from='friend@x.test/a' type='groupchat' id='1'>" + body + "</message>", ""},
		{"a receipt that asks for one", "<message from='friend@x.test/a' type='chat' id='1'>" + received("0") + request + "</message>", ""},
		{"this client itself", "<message from='{jid}' type='chat' id='1'>" + body + "</message>", ""},
		{"for somebody else", "<message from='juliet@example.test/other' to='friend@x.test' type='chat' id='1'>" + body + "</message>", ""},
		{"a carbon copy", "<message from='juliet@example.test' to='{jid}' type='chat' id='1'>" + request + "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
			"<message xmlns='jabber:client' from='friend@x.test/a' to='juliet@example.test' type='chat' id='1'>" + body + "</message></forwarded></received></message>", ""},
		{"an own copy", "<message from='juliet@example.test' to='{jid}' type='chat' id='1'>" + request + "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
			"<message xmlns='jabber:client' from='juliet@example.test/other' to='friend@x.test' type='chat' id='1'>" + body + "</message></forwarded></sent></message>", ""},
		{"from the archive", "<message from='juliet@example.test' to='{jid}' id='1'>" + request + "<result xmlns='urn:xmpp:mam:2' queryid='q' id='u'><forwarded xmlns='urn:xmpp:forward:0'>" +
			"<message xmlns='jabber:client' from='friend@x.test/a' to='juliet@example.test' type='chat' id='1'>" + body + "</message></forwarded></result></message>", ""},
		{"no sender", "<message type='chat' id='1'>" + body + "</message>", ""},
	} {
		for _, policy := range []string{"off", "roster", "nobody knows", "all"} {
			t.Run(tt.name+"/"+policy, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := receipts.Config{Answer: policy != "off"}
					if policy == "all" {
						cfg.Allow = func(xmpp.JID) bool { return true }
					}
					_, s, peer, _ := pair(t, cfg)
					s.AddInterceptor(xmpp.Interceptor{WillSendMessage: func(ctx context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
						if !xmpp.SentByModule(ctx) {
							t.Error("the answer is taken for the user's")
						}
						return m
					}})
					if policy == "roster" {
						m := new(roster)
						m.set(true)
						must(t, m.Activate(s))
					}
					peer.Play("S: " + tt.xml)
					want := tt.answer
					switch {
					case policy == "off", policy == "roster" && want == all, policy == "nobody knows" && tt.name != "the own account":
						want = ""
					case want == all:
						want = "<message to='stranger@x.test/a' type='chat' id='*'>" + received("1") + "</message>"
					}
					synctest.Wait()
					if want != "" {
						peer.Expect(want)
					}
					peer.Play(sync0) // and nothing else
				})
			})
		}
	}
}

// TestAnswerWaits: who asks before the roster is there is answered when it is, within a minute.
func TestAnswerWaits(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		_, s, peer, _ := pair(t, receipts.Config{Answer: true})
		m := new(roster)
		must(t, m.Activate(s))
		ask := func(from, id string) {
			peer.Inject("<message from='" + from + "' type='chat' id='" + id + "'><body>hi</body>" + request + "</message>")
			synctest.Wait()
		}
		ask("friend@x.test/a", "1")
		ask("stranger@x.test/a", "2")
		ask("friend@x.test/b", "3")
		peer.Play(sync0)
		time.Sleep(5 * time.Second)
		peer.Play(sync0)
		m.set(true)
		start := time.Now()
		peer.Expect("<message to='friend@x.test/a' type='chat' id='*'>" + received("1") + "</message>")
		peer.Expect("<message to='friend@x.test/b' type='chat' id='*'>" + received("3") + "</message>")
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("answered after %v", d)
		}
		ask("friend@x.test/c", "4")
		peer.Expect("<message to='friend@x.test/c' type='chat' id='*'>" + received("4") + "</message>")

		m.set(false)
		for range 300 {
			ask("friend@x.test/a", "5")
		}
		time.Sleep(2 * time.Minute)
		m.set(true)
		time.Sleep(2 * time.Minute)
		peer.Play(sync0)
	})
}

// TestAnswerOffline: messages that were kept for an account are answered when it is there.
func TestAnswerOffline(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t)
	romeo, heard := srv.Client(t, "romeo"), make(chan string, 10)
	r := receipts.New(receipts.Config{})
	r.AddDelegate(receipts.Delegate{Receipt: receiptFunc(func(id string, m *stanza.Message) { heard <- id + " " + m.From().Bare().String() })}, nil)
	must(t, r.Activate(romeo))
	srv.AddAccount("juliet", "secret")
	d := val(r.Send(t.Context(), message("juliet@example.test", "early")))
	for range 200 {
		if srv.Offline("juliet") > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	s := val(xmpp.New(srv.Config("juliet")))
	defer s.Disconnect()
	must(t, receipts.New(receipts.Config{Answer: true, Allow: func(from xmpp.JID) bool { return from.Local() == "romeo" }}).Activate(s))
	must(t, s.Login(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if state, err := d.Wait(ctx); err != nil || state != receipts.Delivered || d.By() != s.MyJID() {
		t.Errorf("%v, %v, by %v", state, err, d.By())
	}
	if h := <-heard; h != "early juliet@example.test" {
		t.Error(h)
	}
}

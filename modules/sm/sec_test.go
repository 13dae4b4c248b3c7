package sm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const (
	begin = `
		S!login juliet
		C: <enable xmlns='urn:xmpp:sm:3' resume='true'/>
		S: <enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true' max='300'/>`
	undefined = `<undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>`
)

// message is what send sends, in a transcript.
func message(body string) string {
	return "\nC: <message to='romeo@example.test' type='chat' id='id-" + body + "'><body>" + body + "</body></message>"
}

func messages(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		b.WriteString(message(fmt.Sprint(i)))
	}
	return b.String()
}

func streamError(inner string) string {
	return "\nC: <stream:error xmlns:stream='http://etherx.jabber.org/streams'>" + inner + "</stream:error>"
}

func tooHigh(h, sent string) string {
	return streamError(undefined + "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='" + h + "' send-count='" + sent + "'/>")
}

// scripted is a client of a server that plays transcripts.
func scripted(t *testing.T, cfg sm.Config, transcripts ...string) (*client, *xmpptest.Server) {
	t.Helper()
	srv := xmpptest.Script(t, transcripts...)
	return newClient(t, srv.Config("juliet"), cfg), srv
}

// sendAll sends numbered messages to romeo.
func (c *client) sendAll(from, to int) (rs []*xmpp.Receipt) {
	c.t.Helper()
	for i := from; i <= to; i++ {
		rs = append(rs, c.send(xmpp.MustParseJID("romeo@example.test"), fmt.Sprint(i)))
	}
	return rs
}

// ended waits for the end of the connection.
func (c *client) ended() error {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	return c.Wait(ctx)
}

// heard waits until the delegates have heard something.
func (c *client) heard(want string) {
	c.t.Helper()
	var got []string
	for range 500 {
		if s := c.e.take(); s != "" {
			got = append(got, s)
		}
		if strings.Join(got, "; ") == want {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Errorf("heard %q, want %q", strings.Join(got, "; "), want)
}

// TestSec_SM01 is a server that acknowledges more than was sent. Nothing is taken for acknowledged by it.
func TestSec_SM01(t *testing.T) {
	for _, h := range []string{"3", "100", "2147483648", "4294967295"} {
		t.Run(h, func(t *testing.T) {
			c, _ := scripted(t, quiet, begin+messages(1, 2)+"\nS: <a xmlns='urn:xmpp:sm:3' h='"+h+"'/>"+tooHigh(h, "2"))
			c.login()
			rs := c.sendAll(1, 2)
			var se *xmpp.StreamError
			if err := c.ended(); !errors.As(err, &se) || !se.Local || !errors.Is(err, sm.ErrProtocol) {
				t.Errorf("ended with %v", err)
			}
			c.heard("enabled(true); end(1,2); because(undefined-condition)")
			if got := states(rs); got != "unknown,unknown" {
				t.Error(got)
			}
		})
	}
}

// TestSec_SM02 is a count that goes back, and one that stays.
func TestSec_SM02(t *testing.T) {
	t.Run("back", func(t *testing.T) {
		c, _ := scripted(t, quiet, begin+messages(1, 3)+"\nS: <a xmlns='urn:xmpp:sm:3' h='2'/><a xmlns='urn:xmpp:sm:3' h='1'/>"+tooHigh("1", "3"))
		c.login()
		rs := c.sendAll(1, 3)
		if err := c.ended(); !errors.Is(err, sm.ErrProtocol) {
			t.Errorf("ended with %v", err)
		}
		c.heard("enabled(true); acked(1,2); end(3); because(undefined-condition)")
		if got := states(rs); got != "acked,acked,unknown" {
			t.Error(got)
		}
	})
	t.Run("the same", func(t *testing.T) {
		c, srv := scripted(t, quiet, begin+messages(1, 3)+`
			S: <a xmlns='urn:xmpp:sm:3' h='2'/><a xmlns='urn:xmpp:sm:3' h='2'/><a xmlns='urn:xmpp:sm:3' h='2'/>`+message("4")+`
			S: <a xmlns='urn:xmpp:sm:3' h='4'/>
			C!rest`)
		c.login()
		rs := c.sendAll(1, 3)
		c.heard("enabled(true); acked(1,2)")
		rs = append(rs, c.sendAll(4, 4)...)
		c.heard("acked(3,4)")
		srv.Wait()
		if got := states(rs); got != "acked,acked,acked,acked" {
			t.Error(got)
		}
	})
}

// TestSec_SM04 are counts that are none.
func TestSec_SM04(t *testing.T) {
	bad := map[string]string{
		"missing": "", "empty": " h=''", "negative": " h='-1'", "plus": " h='+1'", "fraction": " h='1.5'", "hex": " h='0x1'", "space": " h=' 1'",
		"beyond": " h='99999999999'", "2^32": " h='4294967296'", "long": " h='" + strings.Repeat("0", 100000) + "1'", "arabic": " h='١'", "exponent": " h='1e0'",
		"in another namespace": " xmlns:x='x' x:h='1'",
	}
	for name, h := range bad {
		t.Run(name, func(t *testing.T) {
			c, _ := scripted(t, quiet, begin+message("1")+"\nS: <a xmlns='urn:xmpp:sm:3'"+h+"/>"+
				streamError("<bad-format xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"))
			c.login()
			rs := c.sendAll(1, 1)
			if err := c.ended(); !errors.Is(err, sm.ErrProtocol) {
				t.Errorf("ended with %v", err)
			}
			c.heard("enabled(true); end(1); because(bad-format)")
			if got := states(rs); got != "unknown" {
				t.Error(got)
			}
		})
		t.Run("resumed: "+name, func(t *testing.T) {
			c, _ := scripted(t, quiet, begin+message("1")+"\nS!reset", "S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>\n"+
				"S: <resumed xmlns='urn:xmpp:sm:3' previd='s1'"+h+"/>"+
				streamError("<bad-format xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"))
			c.login()
			rs := c.sendAll(1, 1)
			_ = c.ended()
			if err := c.Login(t.Context()); !errors.Is(err, sm.ErrProtocol) {
				t.Errorf("login: %v", err)
			}
			if got := states(rs); got != "pending" || !c.m.Enabled() {
				t.Error("the session is given up:", got)
			}
		})
	}
}

// TestSec_SM05 are answers that nobody has asked for, and about other sessions. The queue stays for the next try.
func TestSec_SM05(t *testing.T) {
	live := map[string]string{
		"resumed unasked":      "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>",
		"enabled twice":        "<enabled xmlns='urn:xmpp:sm:3' id='s2' resume='true'/>",
		"failed after enabled": "<failed xmlns='urn:xmpp:sm:3'/>",
	}
	for name, el := range live {
		t.Run(name, func(t *testing.T) {
			c, _ := scripted(t, quiet, begin+message("1")+"\nS: "+el+streamError(undefined))
			c.login()
			rs := c.sendAll(1, 1)
			if err := c.ended(); !errors.Is(err, sm.ErrProtocol) {
				t.Errorf("ended with %v", err)
			}
			c.heard("enabled(true); end(1); because(undefined-condition)")
			if got := states(rs); got != "unknown" {
				t.Error(got)
			}
		})
	}
	t.Run("enabled without an id", func(t *testing.T) {
		c, _ := scripted(t, quiet, `
			S!login juliet
			C: <enable xmlns='urn:xmpp:sm:3' resume='true'/>
			S: <enabled xmlns='urn:xmpp:sm:3' resume='1'/>`+streamError(undefined))
		if err := c.Login(t.Context()); !errors.Is(err, sm.ErrProtocol) {
			t.Errorf("login: %v", err)
		}
	})
	t.Run("resumed before SASL", func(t *testing.T) {
		c, _ := scripted(t, quiet, begin+message("1")+"\nS!reset", `
			C: <stream:stream to='example.test'>
			S: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' version='1.0'><resumed xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>
			C!rest`)
		c.login()
		rs := c.sendAll(1, 1)
		_ = c.ended()
		if err := c.Login(t.Context()); err == nil || c.IsAuthenticated() {
			t.Error("logged in")
		}
		if got := states(rs); got != "pending" {
			t.Error(got)
		}
	})
	t.Run("another session", func(t *testing.T) {
		try := "S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>"
		c, srv := scripted(t, quiet, begin+messages(1, 2)+"\nS!reset",
			try+"\nS: <resumed xmlns='urn:xmpp:sm:3' previd='s2' h='1'/>"+streamError(undefined),
			try+"\nS: <resumed xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>"+message("2")+"\nC: <r xmlns='urn:xmpp:sm:3'/>\nS: <a xmlns='urn:xmpp:sm:3' h='2'/>\nC!rest")
		c.login()
		rs := c.sendAll(1, 2)
		_ = c.ended()
		c.heard("enabled(true)")
		if err := c.Login(t.Context()); !errors.Is(err, sm.ErrProtocol) {
			t.Errorf("login: %v", err)
		}
		c.login()
		c.heard("acked(1); resumed(1); acked(2)")
		srv.Wait()
		if got := states(rs); got != "acked,acked" {
			t.Error(got)
		}
	})
	t.Run("nonsense for ever", func(t *testing.T) {
		try := "S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>\nS: <resumed xmlns='urn:xmpp:sm:3' previd='s1' h='7'/>" + tooHigh("7", "1")
		c, srv := scripted(t, quiet, begin+message("1")+"\nS!reset", try, try, strings.ReplaceAll(begin, "s1", "s2")+"\nC!rest")
		c.login()
		rs := c.sendAll(1, 1)
		_ = c.ended()
		for range 2 {
			if err := c.Login(t.Context()); !errors.Is(err, sm.ErrProtocol) {
				t.Errorf("login: %v", err)
			}
		}
		c.login() // it is given up
		c.heard("enabled(true); end(1); enabled(true)")
		srv.Wait()
		if got := states(rs); got != "unknown" {
			t.Error(got)
		}
	})
}

// TestSec_SM06 is a server that no longer knows the session: what it says to have handled is acknowledged,
// the rest reported in order, and not sent again.
func TestSec_SM06(t *testing.T) {
	notFound := "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
	tests := []struct {
		name, failed, events, states string
	}{
		{"with a count", "<failed xmlns='urn:xmpp:sm:3' h='5'>" + notFound + "</failed>",
			"acked(1,2,3,4,5); not resumed(item-not-found); end(6,7); enabled(true)", "acked,acked,acked,acked,acked,unknown,unknown"},
		{"without", "<failed xmlns='urn:xmpp:sm:3'>" + notFound + "</failed>",
			"not resumed(item-not-found); end(1,2,3,4,5,6,7); enabled(true)", "unknown,unknown,unknown,unknown,unknown,unknown,unknown"},
		{"with a count of another", "<failed xmlns='urn:xmpp:sm:3' h='8'>" + notFound + "</failed>",
			"not resumed(item-not-found); end(1,2,3,4,5,6,7); enabled(true)", "unknown,unknown,unknown,unknown,unknown,unknown,unknown"},
		{"with all", "<failed xmlns='urn:xmpp:sm:3' h='7'/>",
			"acked(1,2,3,4,5,6,7); not resumed(undefined-condition); end(); enabled(true)", "acked,acked,acked,acked,acked,acked,acked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, srv := scripted(t, quiet, begin+messages(1, 7)+"\nS!reset",
				"S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>\nS: "+tt.failed+strings.ReplaceAll(begin, "s1", "s2")+`
				C: <message id='new'/>
				C!idle 200ms
				C!rest`)
			c.login()
			rs := c.sendAll(1, 7)
			_ = c.ended()
			c.heard("enabled(true)")
			c.login()
			m := stanza.NewMessage(stanza.Normal, xmpp.JID{}, "")
			m.SetAttr("type", "")
			m.SetID("new")
			if err := c.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			c.heard(tt.events)
			if got := states(rs); got != tt.states {
				t.Error(got)
			}
			srv.Wait()
		})
	}
}

package testserver

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ask sends a request and compares the answer; want is the payload of the result, or the condition and type of the error.
func (c *client) ask(typ, to, payload, want string) {
	c.t.Helper()
	c.write("<iq type='" + typ + "' id='ask'" + toAttr(to) + ">" + payload + "</iq>")
	c.want(answerTo(c, to, want))
}

func toAttr(to string) string {
	if to == "" {
		return ""
	}
	return " to='" + to + "'"
}

// answerTo is the answer to the request "ask": want as it is, or with "!condition" an error.
func answerTo(c *client, to, want string) string {
	head := "<iq id='ask' to='" + c.jid.String() + "'"
	if to != "" {
		head += " from='" + to + "'"
	} else if !strings.HasPrefix(want, "!") {
		head += " from='" + c.jid.Bare().String() + "'"
	}
	head += " type="
	if cond, isError := strings.CutPrefix(want, "!"); isError {
		typ := errorTypes[cond]
		if typ == "" {
			typ = "cancel"
		}
		return head + "'error'><error type='" + typ + "'><" + cond + " xmlns='" + nsStanzas + "'/></error></iq>"
	}
	return head + "'result'>" + want + "</iq>"
}

func TestAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		time.Sleep(time.Hour + 2500*time.Millisecond)
		j := online(t, srv, "juliet", "balcony")
		const query, answer = "<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:last' seconds='"
		j.ask("get", "example.test", "<query xmlns='jabber:iq:version'/>", "<query xmlns='jabber:iq:version'><name>testserver</name><version>1</version></query>")
		j.ask("get", "example.test", "<time xmlns='urn:xmpp:time'/>", "<time xmlns='urn:xmpp:time'><tzo>Z</tzo><utc>2000-01-01T01:00:02.500Z</utc></time>")
		j.ask("set", "example.test", "<time xmlns='urn:xmpp:time'/>", "!service-unavailable")
		j.ask("get", "example.test", query, answer+"3602'/>")
		j.ask("get", "", query, answer+"0'/>") // oneself is there
		j.ask("get", "juliet@example.test", query, answer+"0'/>")

		// Others only with a subscription.
		j.ask("get", "romeo@example.test", query, "!forbidden")
		j.ask("get", "nobody@example.test", query, "!forbidden")
		if err := srv.AddContact("romeo", Contact{JID: "juliet@example.test", Subscription: "from"}); err != nil {
			t.Fatal(err)
		}
		j.ask("get", "romeo@example.test", query, "!item-not-found") // never seen
		r := online(t, srv, "romeo", "orchard")
		j.want("<presence from='romeo@example.test/orchard' to='juliet@example.test'/>")
		j.ask("get", "romeo@example.test", query, answer+"0'/>")
		r.write("<presence type='unavailable'><status>gone home</status></presence>")
		r.next()
		j.next()
		time.Sleep(90 * time.Second)
		j.ask("get", "romeo@example.test", query, answer+"90'>gone home</query>")
		r.conn.Close() // not seen any later than that
		synctest.Wait()
		j.ask("get", "romeo@example.test", query, answer+"90'>gone home</query>")
	})
}

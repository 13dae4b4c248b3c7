package testserver

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// TestSMForced breaks the connection at random while stanzas go both ways: none is lost, none comes twice, the order stays.
func TestSMForced(t *testing.T) {
	const rounds, each = 25, 20
	srv := newServer(t, Options{PipeBuffer: 512})
	r := online(t, srv, "romeo", "r")
	c := online(t, srv, "juliet", "x")
	id := c.enable("300")
	var unacked []string
	var handled, acked uint32 // of the server, by the server
	received := 0
	for round := range rounds {
		for i := range each {
			n := round*each + i + 1
			unacked = append(unacked, chat("romeo@example.test", fmt.Sprint(n)))
			tell(t, srv, c, n, n)
		}
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			for _, xml := range unacked[len(unacked)-each:] {
				if _, err := io.WriteString(c.conn, xml); err != nil {
					return
				}
			}
		}()
		time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, func() { srv.Kill(c.jid) })
		for {
			e, err := c.read()
			if err != nil {
				break
			}
			if e.Tag != "message" {
				continue // <r/>
			}
			received++
			if got := child(e, "body", nsClient).Text(); got != fmt.Sprint(received) {
				t.Fatalf("received %s, want %d", got, received)
			}
			handled++
		}
		<-wrote
		d := smAuth(t, srv, "juliet")
		d.jid = c.jid
		d.write(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", id, handled))
		e := d.next()
		h, ok := count(e)
		if e.Tag != "resumed" || !ok || int(h-acked) > len(unacked) {
			t.Fatalf("got %s with %d of %d acknowledged", pretty(e), acked, len(unacked))
		}
		unacked, acked = unacked[h-acked:], h
		c = d
		for _, xml := range unacked {
			c.write(xml)
		}
	}
	c.handledFinally(rounds*each, &received)
	for i := range rounds * each {
		r.body(fmt.Sprint(i + 1))
	}
	r.quiet()
	if received != rounds*each {
		t.Errorf("received %d, want %d", received, rounds*each)
	}
}

// handledFinally reads up to the answer to an <r/>, and counts the messages before it.
func (c *client) handledFinally(want uint32, received *int) {
	c.t.Helper()
	c.write("<r xmlns='urn:xmpp:sm:3'/>")
	for {
		e := c.next()
		switch e.Tag {
		case "message":
			*received++
		case "a":
			if h, _ := count(e); h != want {
				c.t.Errorf("the server has handled %d, want %d", h, want)
			}
			return
		}
	}
}

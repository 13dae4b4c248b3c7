package sm_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

// counter is what a server of stream management is, and nothing else: what it says is for the test to choose.
type counter struct {
	base   uint32
	answer string // to <resume/>

	mu       sync.Mutex
	conn     net.Conn
	received []string // ids of the stanzas of this session, each where its number says
	next     int      // where the next stanza belongs
	heard    []string // h of <a/>, and <r/>
	resumeH  string
}

func (c *counter) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	c.mu.Lock()
	c.conn = server
	c.mu.Unlock()
	go c.serve(server)
	return client, nil
}

const streamHeader = `<stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" from="example.test" id="x" version="1.0">`

// serve plays one connection. What it writes goes through a goroutine of its own, since a pipe holds nothing.
func (c *counter) serve(conn net.Conn) {
	out := make(chan string, 100)
	go func() {
		for s := range out {
			io.WriteString(conn, s)
		}
	}()
	defer close(out)
	features := `<stream:features><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>`
	for {
		d := xml.NewDecoder(conn)
	stream:
		for {
			tok, err := d.Token()
			if err != nil {
				conn.Close()
				return
			}
			el, ok := tok.(xml.StartElement)
			if !ok {
				continue
			}
			if el.Name.Local == "stream" {
				out <- streamHeader + features
				continue
			}
			if err := d.Skip(); err != nil {
				conn.Close()
				return
			}
			switch el.Name.Local {
			case "auth":
				features = `<stream:features><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/><sm xmlns="urn:xmpp:sm:3"/></stream:features>`
				out <- `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`
				break stream
			case "iq":
				out <- `<iq type="result" id="` + attr(el, "id") + `"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>u@example.test/r</jid></bind></iq>`
			default:
				c.element(el, out)
			}
		}
	}
}

func attr(el xml.StartElement, name string) string {
	for _, a := range el.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (c *counter) element(el xml.StartElement, out chan<- string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch el.Name.Local {
	case "enable":
		c.received, c.next = nil, 0
		out <- `<enabled xmlns="urn:xmpp:sm:3" id="s" resume="true"/>`
	case "resume":
		c.resumeH = attr(el, "h")
		out <- c.answer
	case "message":
		c.received = append(c.received[:c.next], attr(el, "id"))
		c.next++
	case "a":
		c.heard = append(c.heard, attr(el, "h"))
	case "r":
		c.heard = append(c.heard, "r")
	}
}

func (c *counter) write(s string) { io.WriteString(c.conn, s) }

// reference is what F-10 holds the module against: counts and queues of both sides, in the simplest words.
type reference struct {
	up, session   bool
	base, inBase  uint32
	sent          []string // of the session
	acked         int      // of them
	written       int      // of them
	handled       int
	settled, lost []string // of all sessions: acknowledged, and given up
}

func (r *reference) h(n int) uint32 { return r.base + uint32(n) }
func (r *reference) ack(n int) {
	r.settled = append(r.settled, r.sent[r.acked:n]...)
	r.acked = n
}
func (r *reference) end() {
	r.lost = append(r.lost, r.sent[r.acked:]...)
	*r = reference{base: r.base, inBase: r.inBase, settled: r.settled, lost: r.lost}
}

// FuzzSM is F-10: any order of sending, acknowledgements, requests, losses, resumptions and nonsense.
func FuzzSM(f *testing.F) {
	for _, seed := range [][]byte{
		{5, 0, 0, 1, 2, 3, 4, 5, 0, 1}, {5, 0, 0, 0, 4, 65, 0, 2, 1}, {5, 0, 4, 6, 0, 3, 4, 134}, {5, 0, 0, 7}, {5, 3, 3, 8}, {5, 9, 10, 0, 10, 4, 0, 0, 5, 1},
		{5, 3, 3, 3, 2, 0, 0, 0, 0, 0, 4, 69, 4, 37, 1, 2, 11},
	} {
		f.Add(seed, uint32(0), uint32(0))
		f.Add(seed, uint32(1<<32-3), uint32(1<<32-2))
	}
	f.Fuzz(func(t *testing.T, ops []byte, base, inBase uint32) {
		if len(ops) > 200 {
			return
		}
		synctest.Test(t, func(t *testing.T) { play(t, ops, base, inBase) })
	})
}

func play(t *testing.T, ops []byte, base, inBase uint32) {
	srv := &counter{base: base}
	s, err := xmpp.New(xmpp.Config{
		JID: xmpp.MustParseJID("example.test"), Credentials: xmpp.Anonymous(), Host: "example.test", NoInitialPresence: true,
		Dial: srv.dial, TLSPolicy: xmpp.InsecureTLSAllowed,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := sm.New(quiet)
	m.StartCounts(base, inBase)
	if err := m.Activate(s); err != nil {
		t.Fatal(err)
	}
	ref := &reference{base: base, inBase: inBase}
	receipts := map[string]*xmpp.Receipt{}
	n := 0
	for i, op := range ops {
		arg := int(op >> 5)
		switch op & 31 % 12 {
		case 0: // send
			id := fmt.Sprint("m", n)
			msg := stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("a@b"), "x")
			msg.SetID(id)
			r, err := s.SendReceipt(t.Context(), msg)
			if ok := err == nil; ok != ref.session {
				t.Fatalf("%d: send: %v", i, err)
			}
			if err == nil {
				n++
				ref.sent, receipts[id] = append(ref.sent, id), r
				if ref.up {
					ref.written++
				}
			}
		case 1: // <a/>
			if ref.up {
				ref.ack(min(ref.acked+arg, len(ref.sent)))
				srv.write(fmt.Sprintf(`<a xmlns="urn:xmpp:sm:3" h="%d"/>`, ref.h(ref.acked)))
			}
		case 2: // <r/>
			if ref.up {
				srv.write(`<r xmlns="urn:xmpp:sm:3"/>`)
				time.Sleep(10 * time.Millisecond) // an answer so soon after another waits a moment
				synctest.Wait()
				want := strconv.FormatUint(uint64(ref.inBase+uint32(ref.handled)), 10)
				if got := srv.heard; len(got) == 0 || got[len(got)-1] != want {
					t.Fatalf("%d: answered %v, want %s", i, got, want)
				}
			}
		case 3: // a stanza from the server
			if ref.up {
				srv.write("<message/>")
				ref.handled++
			}
		case 4: // disconnect
			if ref.up {
				srv.conn.Close()
				ref.up = false
			}
		case 5, 6: // a login: resumed, or refused
			if ref.up {
				break
			}
			h := min(ref.acked+arg, ref.written)
			handled := strconv.FormatUint(uint64(ref.inBase+uint32(ref.handled)), 10)
			resumed := op&31%12 == 5
			srv.answer = fmt.Sprintf(`<resumed xmlns="urn:xmpp:sm:3" previd="s" h="%d"/>`, ref.h(h))
			if !resumed {
				srv.answer = fmt.Sprintf(`<failed xmlns="urn:xmpp:sm:3" h="%d"/>`, ref.h(h))
			}
			srv.resumeH, srv.next = "", h
			if err := s.Login(t.Context()); err != nil {
				t.Fatalf("%d: login: %v", i, err)
			}
			if ref.session {
				if srv.resumeH != handled {
					t.Fatalf("%d: resumed with %s, want %s", i, srv.resumeH, handled)
				}
				ref.ack(h)
				if !resumed {
					ref.end()
				}
			}
			ref.up, ref.session, ref.written = true, true, len(ref.sent)
		case 7, 8, 11: // nonsense
			if ref.up {
				srv.write([]string{
					fmt.Sprintf(`<a xmlns="urn:xmpp:sm:3" h="%d"/>`, ref.h(len(ref.sent)+1+arg)),
					`<enabled xmlns="urn:xmpp:sm:3" id="t" resume="true"/>`,
					`<resumed xmlns="urn:xmpp:sm:3" previd="s" h="0"/>`,
				}[min(op&31%12-7, 2)])
				synctest.Wait()
				ref.end()
				if !s.IsDisconnected() {
					t.Fatalf("%d: nonsense is taken", i)
				}
			}
		case 9:
			if err := m.SendAck(); (err == nil) != ref.up {
				t.Fatalf("%d: SendAck: %v", i, err)
			}
		case 10:
			if err := m.RequestAck(); (err == nil) != ref.up {
				t.Fatalf("%d: RequestAck: %v", i, err)
			}
		}
		synctest.Wait()
		compare(t, i, s, m, srv, ref, receipts)
	}
	s.Disconnect()
	synctest.Wait()
}

// compare holds the module, the receipts and what the server has received against the reference.
func compare(t *testing.T, i int, s *xmpp.Stream, m *sm.SM, srv *counter, ref *reference, receipts map[string]*xmpp.Receipt) {
	t.Helper()
	want := sm.Counts{}
	if ref.session {
		want = sm.Counts{Sent: ref.h(len(ref.sent)), Acked: ref.h(ref.acked), Handled: ref.inBase + uint32(ref.handled)}
	}
	if got := m.Counts(); got != want || m.Enabled() != ref.session || s.IsAuthenticated() != ref.up {
		t.Fatalf("%d: %+v, enabled %v, connected %v; want %+v", i, got, m.Enabled(), s.IsAuthenticated(), want)
	}
	if ref.up && !slices.Equal(srv.received, ref.sent) {
		t.Fatalf("%d: the server has %v of %v", i, srv.received, ref.sent)
	}
	pending := ref.sent[ref.acked:]
	if len(ref.settled)+len(ref.lost)+len(pending) != len(receipts) || m.Stats().Unacked != len(pending) {
		t.Fatalf("%d: %d acknowledged, %d lost, %d pending of %d", i, len(ref.settled), len(ref.lost), m.Stats().Unacked, len(receipts))
	}
	check := func(ids []string, states ...xmpp.ReceiptState) {
		for _, id := range ids {
			if st := receipts[id].State(); !slices.Contains(states, st) {
				t.Fatalf("%d: %s is %v, want %v", i, id, st, states)
			}
		}
	}
	check(ref.settled, xmpp.ReceiptAcked)
	check(ref.lost, xmpp.ReceiptUnknown, xmpp.ReceiptNotDelivered)
	check(pending, xmpp.ReceiptPending)
}

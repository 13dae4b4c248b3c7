package lean

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// Needles, in their UTF-8 form, with what a stanza begins.
var (
	stanzaStarts = [][]byte{[]byte("<message"), []byte("<presence"), []byte("<iq ")}
	messageEnd   = []byte("</message>")
	ackRequest   = []byte("<r ")
)

// Window looks for needles in a stream of bytes, wherever reads have cut it.
type Window struct {
	buf   []byte
	fresh int // where what was read last begins
}

// longestNeedle is what a Window keeps of the read before.
const longestNeedle = 64

// Read reads once, and returns what it has read. It is valid until the next Read.
func (w *Window) Read(r io.Reader) ([]byte, error) {
	if w.buf == nil {
		w.buf = make([]byte, 0, 64<<10)
	}
	keep := w.buf[max(0, len(w.buf)-longestNeedle):]
	w.fresh = copy(w.buf[:cap(w.buf)], keep)
	n, err := r.Read(w.buf[w.fresh:cap(w.buf)])
	w.buf = w.buf[:w.fresh+n]
	return w.buf[w.fresh:], err
}

// Count counts the needles that end in what was read last; they have to be shorter than 64 bytes.
func (w *Window) Count(needles ...[]byte) (n int) {
	for _, needle := range needles {
		n += bytes.Count(w.buf[max(0, w.fresh-len(needle)+1):], needle)
	}
	return n
}

// CountStanzas counts the stanzas that have begun in what was read last, and
// CountRequests those for an acknowledgement (XEP-0198).
func (w *Window) CountStanzas() int  { return w.Count(stanzaStarts...) }
func (w *Window) CountRequests() int { return w.Count(ackRequest) }

// sink counts the ends of messages and looks at little else while they come in bulk.
func (c *client) sink() {
	var w Window
	count, told, stanzas := 0, 0, 0
	for {
		buf, err := w.Read(c.in)
		if err != nil {
			return
		}
		if c.managed() {
			stanzas += w.CountStanzas()
			if w.CountRequests() > 0 {
				fmt.Fprintf(c.conn, "<a xmlns='urn:xmpp:sm:3' h='%d'/>", stanzas)
				c.server.noteAcks(stanzas, 0)
			}
		}
		found := w.Count(messageEnd)
		count += found
		if found == 0 || bytes.HasSuffix(buf, []byte("</stream:stream>")) || bytes.HasSuffix(buf, []byte("</stream:stream>\n")) {
			if !c.reply(buf) {
				return
			}
		}
		if found > 0 {
			told = c.tell(count, told)
		}
	}
}

// tell reports to the server's waiter once count has reached what is wanted, and returns what was reported.
func (c *client) tell(count, told int) int {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.want == 0 || count-told < s.want {
		return told
	}
	s.want = 0
	select {
	case s.full <- SinkDone{Count: count - told, At: time.Now()}:
	default:
	}
	return count
}

// Messages serialises n chat messages to an address, the way a server delivers them;
// the body of each begins with the tag and its number, see Body.
func Messages(to string, n int, tag string) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "<message to='%s' from='juliet@%s/balcony' type='chat' id='m%07d' xml:lang='en'><body>%s</body>"+
			"<origin-id xmlns='urn:xmpp:sid:0' id='m%07d'/></message>", to, Domain, i, Body(tag, i), i)
	}
	return b.Bytes()
}

// Body is the text of message i: about 95 bytes, no two alike, and the tag of the run in front
// so that a receiver counts no message of another run.
func Body(tag string, i int) string {
	return fmt.Sprintf("%s %07d wherefore art thou? Deny thy father and refuse thy name, or if thou wilt not, be sworn", tag, i)
}

package lean

import (
	"bytes"
	"fmt"
	"time"
)

// sink counts the ends of messages and looks at nothing else while they come in bulk.
func (c *client) sink() {
	end := []byte("</message>")
	buf := make([]byte, 0, 64<<10)
	count, told := 0, 0
	for {
		// What may be the beginning of an end tag stays in front of the next read.
		keep := buf[max(0, len(buf)-len(end)+1):]
		old := len(keep)
		buf = buf[:copy(buf[:cap(buf)], keep)]
		n, err := c.in.Read(buf[old:cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:old+n]
		found := bytes.Count(buf, end)
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

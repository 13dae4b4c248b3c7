package clients

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/lean"
)

// Control is no library: it sends bytes that it has ready and looks for needles in those that come.
// ManagedControl does the same with stream management, with as few requests and answers as the servers need.
// How much slower the second is than the first is what stream management costs the server.
var (
	Control = Library{Name: "bytes", Module: "no library, bytes only", Remark: "the control: what is slow here is the server",
		Login: func(ctx context.Context, a Account, in *Inbox) (Client, error) {
			return loginControl(ctx, a, in, false)
		}}
	ManagedControl = Library{Name: "bytes-sm", Module: "no library, bytes only, stream management on", Managed: true,
		Remark: "the same, and requests of the server are answered, after 5 ms if another was just answered",
		Login:  func(ctx context.Context, a Account, in *Inbox) (Client, error) { return loginControl(ctx, a, in, true) }}
)

const (
	controlPart  = 16 << 10             // what is written at once: a TLS record
	controlAsks  = 625                  // messages after which it asks for an acknowledgement
	controlGap   = 5 * time.Millisecond // between two of its answers
	controlOpens = "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	controlAsk   = "<r xmlns='urn:xmpp:sm:3'/>"
)

type control struct {
	conn    net.Conn
	managed bool
	in      *Inbox
	body    []byte // what the body of a message for the inbox begins with
	w       lean.Window
	over    chan struct{} // closed when nothing more is read

	mu      sync.Mutex
	stanzas uint32    // that have come
	told    time.Time // when the server was
	timer   *time.Timer
}

func loginControl(ctx context.Context, a Account, in *Inbox, managed bool) (_ Client, err error) {
	config, err := a.TLS()
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	limit, _ := ctx.Deadline()
	conn.SetDeadline(limit)
	if err := talk(conn, "</stream:features>", controlOpens, a.Domain); err != nil {
		return nil, err
	}
	if err := talk(conn, "<proceed", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); err != nil {
		return nil, err
	}
	secure := tls.Client(conn, config)
	for _, step := range []struct{ until, text string }{
		{"</stream:features>", fmt.Sprintf(controlOpens, a.Domain)},
		{"<success", fmt.Sprintf("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
			base64.StdEncoding.EncodeToString([]byte("\x00"+a.User+"\x00"+a.Password)))},
		{"</stream:features>", fmt.Sprintf(controlOpens, a.Domain)},
		{"</iq>", fmt.Sprintf("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%s</resource></bind></iq>", a.Resource)},
	} {
		if err := talk(secure, step.until, "%s", step.text); err != nil {
			return nil, err
		}
	}
	if managed {
		if err := talk(secure, "<enabled", "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"); err != nil {
			return nil, err
		}
	}
	conn.SetDeadline(time.Time{})
	c := &control{conn: secure, managed: managed, in: in, over: make(chan struct{})}
	if in != nil {
		c.body = []byte("<body>" + in.tag)
	}
	c.timer = time.AfterFunc(time.Hour, c.answer)
	go c.read()
	_, err = io.WriteString(secure, "<presence/>")
	return c, err
}

// talk writes and reads until the answer has come, and all of the element that ends it.
func talk(conn net.Conn, until, format string, a ...any) error {
	if _, err := fmt.Fprintf(conn, format, a...); err != nil {
		return err
	}
	var got []byte
	part := make([]byte, 4<<10)
	for !bytes.Contains(got, []byte(until)) || !bytes.HasSuffix(got, []byte(">")) {
		n, err := conn.Read(part)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", until, err)
		}
		if got = append(got, part[:n]...); bytes.Contains(got, []byte("<failure")) || bytes.Contains(got, []byte("<failed")) {
			return errors.New("refused: " + string(got))
		}
	}
	return nil
}

func (c *control) read() {
	defer close(c.over)
	for {
		if _, err := c.w.Read(c.conn); err != nil {
			return
		}
		if c.managed {
			c.mu.Lock()
			c.stanzas += uint32(c.w.CountStanzas())
			if c.w.CountRequests() > 0 {
				c.timer.Reset(max(0, controlGap-time.Since(c.told)))
			}
			c.mu.Unlock()
		}
		if c.in != nil {
			c.in.addMany(c.w.Count(c.body))
		}
	}
}

func (c *control) answer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = time.Now()
	fmt.Fprintf(c.conn, "<a xmlns='urn:xmpp:sm:3' h='%d'/>", c.stanzas)
}

func (c *control) Send(_ context.Context, to string, messages []Message) error {
	part := make([]byte, 0, 2*controlPart)
	for i, v := range messages {
		part = fmt.Appendf(part, "<message to='%s' type='chat' id='%s'><body>%s</body><origin-id xmlns='%s' id='%[2]s'/></message>", to, v.ID, v.Body, nsOriginID)
		last := i == len(messages)-1
		if c.managed && (i%controlAsks == controlAsks-1 || last) {
			part = append(part, controlAsk...)
		}
		if len(part) > controlPart || last {
			if _, err := c.conn.Write(part); err != nil {
				return err
			}
			part = part[:0]
		}
	}
	return nil
}

func (c *control) Close() error {
	_, err := io.WriteString(c.conn, "</stream:stream>")
	select {
	case <-c.over:
	case <-time.After(time.Second):
	}
	c.timer.Stop()
	c.conn.Close()
	return err
}

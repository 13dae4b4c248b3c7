package lean

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	loginTimeout = 30 * time.Second
	header       = "<?xml version='1.0'?><stream:stream from='" + Domain + "' id='%d' version='1.0' xml:lang='en'" +
		" xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><stream:features>%s</stream:features>"
	featuresTLS  = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	featuresSASL = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism>" +
		"<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>"
	featuresBind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
	featuresSM   = "<sm xmlns='urn:xmpp:sm:3'/>"
	enabled      = "<enabled xmlns='urn:xmpp:sm:3' id='lean' resume='true'/>"
	askAck       = "<r xmlns='urn:xmpp:sm:3'/>"
)

// client is one connection. The XML decoder is only used until the session starts:
// afterwards the bytes are looked at as bytes.
type client struct {
	server         *Server
	conn           net.Conn
	in             *bufio.Reader // below the XML decoder, which reads it byte by byte and never too far
	user, resource string
	streams        int
	asked          atomic.Bool // for an acknowledgement, and was not answered
}

// managed reports whether the client is offered stream management.
func (c *client) managed() bool { return c.user == UserManagedSink || c.user == UserManagedSource }

func (c *client) address() string { return c.user + "@" + Domain + "/" + c.resource }

// element is any child of the stream, as far as a login needs to see it.
type element struct {
	XMLName   xml.Name
	ID        string `xml:"id,attr"`
	Mechanism string `xml:"mechanism,attr"`
	Text      string `xml:",chardata"`
	Bind      struct {
		Resource string `xml:"resource"`
	} `xml:"bind"`
}

func (s *Server) serve(conn net.Conn) {
	c := &client{server: s, conn: conn, in: bufio.NewReaderSize(conn, 2<<10)}
	conn.SetDeadline(time.Now().Add(loginTimeout))
	if c.login() != nil {
		return
	}
	c.conn.SetDeadline(time.Time{})
	switch c.user {
	case UserSink, UserManagedSink:
		c.sink()
	case UserSource, UserManagedSource:
		s.mu.Lock()
		s.source = c
		s.mu.Unlock()
		select {
		case s.arrived <- struct{}{}:
		default:
		}
		c.answer()
	default:
		c.answer()
	}
}

func (c *client) login() error {
	d, err := c.open(featuresTLS)
	if err != nil {
		return err
	}
	if e, err := c.next(d); err != nil || e.XMLName.Local != "starttls" {
		return fmt.Errorf("lean: want starttls: %w", err)
	}
	if _, err := c.conn.Write([]byte("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")); err != nil {
		return err
	}
	// One system call fetches as much of the wire as there is: the server has to be cheaper than its clients.
	secure := tls.Server(buffered{c.conn, bufio.NewReaderSize(c.conn, 16<<10)}, c.server.config)
	if err := secure.Handshake(); err != nil {
		return err
	}
	c.conn, c.in = secure, bufio.NewReaderSize(secure, 2<<10)
	if d, err = c.open(featuresSASL); err != nil {
		return err
	}
	if err := c.authenticate(d); err != nil {
		return err
	}
	features := featuresBind
	if c.managed() {
		features += featuresSM
	}
	if d, err = c.open(features); err != nil {
		return err
	}
	e, err := c.next(d)
	if err != nil || e.XMLName.Local != "iq" {
		return fmt.Errorf("lean: want bind: %w", err)
	}
	c.resource = e.Bind.Resource
	if c.resource == "" {
		c.resource = "r"
	}
	_, err = fmt.Fprintf(c.conn, "<iq type='result' id='%s'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>%s</jid></bind></iq>",
		e.ID, c.address())
	return err
}

// open reads the client's stream header and answers with ours and the features.
func (c *client) open(features string) (*xml.Decoder, error) {
	d := xml.NewDecoder(c.in)
	for {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		if _, ok := t.(xml.StartElement); ok {
			break
		}
	}
	c.streams++
	_, err := fmt.Fprintf(c.conn, header, c.streams, features)
	return d, err
}

func (c *client) next(d *xml.Decoder) (element, error) {
	var e element
	err := d.Decode(&e)
	return e, err
}

func (c *client) authenticate(d *xml.Decoder) error {
	var x *Exchange
	for range 4 {
		e, err := c.next(d)
		if err != nil {
			return err
		}
		data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(e.Text))
		if err != nil {
			return err
		}
		tag, text := "challenge", ""
		switch {
		case x == nil && e.Mechanism == "PLAIN":
			part := strings.Split(string(data), "\x00")
			if len(part) != 3 || part[2] != Password {
				return c.refuse()
			}
			c.user, tag = part[1], "success"
		case x == nil:
			v := c.server.scram[e.Mechanism]
			if v == nil {
				return c.refuse()
			}
			x = &Exchange{v: v}
			text, err = x.First(string(data))
		default:
			text, err = x.Final(string(data))
			c.user, tag = x.user, "success"
		}
		if err != nil {
			return c.refuse()
		}
		if _, err := fmt.Fprintf(c.conn, "<%s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</%[1]s>",
			tag, base64.StdEncoding.EncodeToString([]byte(text))); err != nil {
			return err
		}
		if tag == "success" {
			return nil
		}
	}
	return errAuth
}

func (c *client) refuse() error {
	fmt.Fprint(c.conn, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure></stream:stream>")
	return errAuth
}

// answer reads until the client leaves, and refuses requests, so that no client waits for an answer.
func (c *client) answer() {
	buf := make([]byte, 1<<10)
	for {
		n, err := c.in.Read(buf)
		if err != nil || !c.reply(buf[:n]) {
			return
		}
	}
}

var (
	request = regexp.MustCompile(`<iq [^>]*>`)
	ack     = regexp.MustCompile(`<a [^>]*h=['"](\d+)`)
)

// reply answers the requests in data, which holds whole stanzas, and reports whether the stream goes on.
func (c *client) reply(data []byte) bool {
	if bytes.Contains(data, []byte("<iq ")) {
		for _, start := range request.FindAll(data, -1) {
			if _, id, ok := strings.Cut(strings.ReplaceAll(string(start), `"`, "'"), "id='"); ok {
				id, _, _ = strings.Cut(id, "'")
				fmt.Fprintf(c.conn, "<iq type='error' id='%s'><error type='cancel'>"+
					"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id)
			}
		}
	}
	if c.managed() {
		if bytes.Contains(data, []byte("<enable ")) {
			fmt.Fprint(c.conn, enabled)
		}
		if m := ack.FindSubmatch(data); m != nil {
			h, _ := strconv.Atoi(string(m[1]))
			c.server.noteAcks(0, h)
			c.asked.Store(false)
		}
	}
	if bytes.HasSuffix(bytes.TrimSpace(data), []byte("</stream:stream>")) {
		fmt.Fprint(c.conn, "</stream:stream>")
		return false
	}
	return true
}

type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

package integration

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// client is a stream on which the tests read and write text. It knows just enough to ask a server whether it works.
type client struct {
	net.Conn
	got    string // read and not yet looked at
	domain string
	tls    *tls.Config
}

// open connects and reads the features; with STARTTLS it goes on to the features inside TLS.
func open(s *Server, p Port, domain string, conf *tls.Config) (*client, string, error) {
	conn, err := net.DialTimeout("tcp4", s.Addr(p), 5*time.Second)
	if err != nil {
		return nil, "", err
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if conf == nil {
		conf = &tls.Config{}
	}
	conf.ServerName, conf.RootCAs = domain, s.Roots()
	c := &client{Conn: conn, domain: domain, tls: conf}
	if p == DirectTLS {
		c.Conn = tls.Client(conn, conf)
	}
	features, err := c.header("")
	if err == nil && strings.Contains(features, "xmpp-tls") {
		features, err = c.startTLS()
	}
	if err != nil {
		conn.Close()
		return nil, "", fmt.Errorf("%s %v %s: %w", s.Kind, p, domain, err)
	}
	return c, features, nil
}

func (c *client) startTLS() (string, error) {
	if _, err := c.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed"); err != nil {
		return "", err
	}
	c.Conn, c.got = tls.Client(c.Conn, c.tls), ""
	return c.header("")
}

// header opens the stream, anew if need be, and returns the features.
func (c *client) header(from string) (string, error) {
	c.got = ""
	if from != "" {
		from = " from='" + from + "'"
	}
	return c.ask("<?xml version='1.0'?><stream:stream to='"+c.domain+"'"+from+
		" xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>", "</stream:features>")
}

// ask writes and then reads until the server has sent want. It returns everything up to there.
func (c *client) ask(text, want string) (string, error) {
	if _, err := c.Write([]byte(text)); err != nil {
		return "", err
	}
	buf := make([]byte, 4096)
	for {
		if i := strings.Index(c.got, want); i >= 0 {
			answer := c.got[:i+len(want)]
			c.got = c.got[i+len(want):]
			return answer, nil
		}
		if strings.Contains(c.got, "<failure") || strings.Contains(c.got, "<stream:error") {
			return "", fmt.Errorf("waiting for %q, got %q", want, c.got)
		}
		n, err := c.Read(buf)
		c.got += string(buf[:n])
		if err != nil && !strings.Contains(c.got, want) {
			return "", fmt.Errorf("waiting for %q, got %q: %w", want, c.got, err)
		}
	}
}

// auth authenticates in one step and opens the stream anew.
func (c *client) auth(mechanism, initial string) error {
	if initial = base64.StdEncoding.EncodeToString([]byte(initial)); initial == "" {
		initial = "="
	}
	if _, err := c.ask("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='"+mechanism+"'>"+initial+"</auth>", "<success"); err != nil {
		return err
	}
	_, err := c.header("")
	return err
}

func (c *client) bind() error {
	_, err := c.ask("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "<jid>")
	return err
}

// login opens a stream, authenticates with PLAIN and binds.
func login(s *Server, p Port, address, password string, conf *tls.Config) (*client, error) {
	user, domain, _ := strings.Cut(address, "@")
	c, _, err := open(s, p, domain, conf)
	if err != nil {
		return nil, err
	}
	if err = c.auth("PLAIN", "\x00"+user+"\x00"+password); err == nil {
		err = c.bind()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s %v login %s: %w", s.Kind, p, address, err)
	}
	return c, nil
}

func mustLogin(t *testing.T, s *Server, p Port, address, password string, conf *tls.Config) *client {
	t.Helper()
	c, err := login(s, p, address, password, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func mustOpen(t *testing.T, s *Server, p Port, domain string, conf *tls.Config) (*client, string) {
	t.Helper()
	c, features, err := open(s, p, domain, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, features
}

// clearText opens a stream at Plain without TLS.
func clearText(s *Server) (*client, error) {
	conn, err := net.DialTimeout("tcp4", s.Addr(PlainAllowed), 5*time.Second)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{Conn: conn, domain: Plain}
	if _, err := c.header(""); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// handshake connects as a component (XEP-0114).
func handshake(s *Server, name string) error {
	conn, err := net.DialTimeout("tcp4", s.Addr(Component), 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{Conn: conn}
	head, err := c.ask("<?xml version='1.0'?><stream:stream to='"+name+
		"' xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>", "<stream:stream")
	if err != nil {
		return err
	}
	rest, err := c.ask("", ">")
	if err != nil {
		return err
	}
	var id string
	for _, quote := range []string{"'", `"`} {
		if _, after, ok := strings.Cut(rest, " id="+quote); ok {
			id, _, _ = strings.Cut(after, quote)
		}
	}
	if id == "" {
		return fmt.Errorf("no stream id in %s%s", head, rest)
	}
	_, err = c.ask(fmt.Sprintf("<handshake>%x</handshake>", sha1.Sum([]byte(id+ComponentSecret))), "<handshake")
	return err
}

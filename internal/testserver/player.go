package testserver

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// errEnded says that the connection is over as the script wanted it.
var errEnded = errors.New("the script has ended the connection")

// errTimeout is what a source returns when the client sent nothing in time. The element may still come later.
var errTimeout = errors.New("nothing came in time")

// source is where a player reads the client from: the connection itself, or what a [Peer] has collected.
type source interface {
	session() *Session // nil while there is none
	header(timeout time.Duration) (*etree.Element, error)
	next(timeout time.Duration) (*etree.Element, error) // io.EOF after the closing tag
}

// player goes through the steps of a script.
type player struct {
	srv     *Server
	src     source
	vars    vars
	timeout time.Duration
}

func newPlayer(srv *Server, timeout time.Duration, src source) *player {
	return &player{srv: srv, src: src, timeout: timeout, vars: vars{"domain": srv.domain.String()}}
}

func (p *player) play(sc *Script) error {
	for _, st := range sc.steps {
		sc.setStep(st)
		if err := p.step(st); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) step(st step) error {
	switch st.verb {
	case "C:":
		return p.expect(st.arg)
	case "C!any":
		_, err := p.next("an element")
		return err
	case "C!eof":
		e, err := p.src.next(p.timeout)
		switch {
		case err == nil:
			return fmt.Errorf("want the end of the connection, got\n%s", pretty(e))
		case err == io.EOF, err == errTimeout:
			return fmt.Errorf("want the end of the connection, got %s", describe(err))
		}
		return nil
	case "C!idle":
		e, err := p.src.next(duration(st.arg))
		if err != errTimeout {
			if err != nil {
				return fmt.Errorf("want silence, got %s", describe(err))
			}
			return fmt.Errorf("want silence, got\n%s", pretty(e))
		}
		return nil
	case "C!rest":
		for {
			if _, err := p.src.next(0); err != nil {
				return p.closing(err)
			}
		}
	case "S!wait":
		time.Sleep(duration(st.arg))
		return nil
	}
	s := p.src.session()
	if s == nil {
		return errors.New("there is no session")
	}
	switch st.verb {
	case "S:":
		return p.send(s, st.arg)
	case "S!raw":
		text, err := strconv.Unquote(st.arg)
		if err != nil {
			return err
		}
		return p.ended(s.sendRaw([]byte(text)))
	case "S!drip":
		s.out.wait()
		s.out.drip.Store(st.arg == "on")
	case "S!tls":
		if err := s.upgrade(false); err != nil {
			return err
		}
	case "S!login":
		return p.login(s, st.arg)
	case "S!auth":
		return p.negotiated(s, st.arg, s.authenticate)
	case "S!shut":
		s.out.wait()
		s.halfClose()
		s.raw.SetReadDeadline(time.Time{})
	case "S!close":
		s.out.wait()
		s.kill()
		return errEnded
	case "S!reset":
		s.out.wait()
		if c, ok := s.raw.(*Conn); ok {
			c.Drain(p.timeout)
		}
		s.reset()
		return errEnded
	case "S!stall":
		s.out.wait()
		s.out.freeze(true)
		s.out.gate()
		return errEnded
	}
	return nil
}

// duration is for texts that ParseScript has checked.
func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func (p *player) ended(err error) error {
	if err != nil {
		return fmt.Errorf("cannot send: the client has ended the connection (%w)", err)
	}
	return nil
}

func (p *player) send(s *Session, xml string) error {
	text, missing := p.vars.fill(xml)
	if missing != "" {
		return fmt.Errorf("%s has no value yet in %s", missing, clip(xml))
	}
	if isHeader(text) {
		s.headerSent = true
	}
	return p.ended(s.sendRaw([]byte(text)))
}

// next waits for an element.
func (p *player) next(want string) (*etree.Element, error) {
	e, err := p.src.next(p.timeout)
	if err != nil {
		if err == errTimeout {
			return nil, fmt.Errorf("the client sent nothing within %v\nwant:\n  %s", p.timeout, want)
		}
		return nil, fmt.Errorf("got %s\nwant:\n  %s", describe(err), want)
	}
	return e, nil
}

// expect waits for what the client must send.
func (p *player) expect(xml string) error {
	text, _ := p.vars.fill(xml)
	switch {
	case isFooter(text):
		e, err := p.src.next(p.timeout)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("want the closing tag, got %s", describe(err))
		}
		return fmt.Errorf("want the closing tag, got\n%s", pretty(e))
	case isHeader(text):
		d := xmlstream.NewDecoder(strings.NewReader(declare(text)), testLimits)
		want, err := d.Header()
		if err != nil {
			return err
		}
		got, err := p.src.header(p.timeout)
		if err != nil {
			return fmt.Errorf("got %s\nwant:\n  %s", describe(err), text)
		}
		if got.Tag != want.Tag || got.NamespaceURI() != nsStreams {
			return fmt.Errorf("want a stream header, got\n%s", pretty(got))
		}
		if err := p.vars.compareAttrs("/stream", want, got, true); err != nil {
			return fmt.Errorf("%w\nwant:\n  %s\ngot:\n%s", err, text, pretty(got))
		}
		return nil
	}
	want, err := parseFragment(text)
	if err != nil {
		return err
	}
	got, err := p.next(text)
	if err != nil {
		return err
	}
	return p.vars.compare(want, got)
}

// declare adds the declarations that a header in a script may leave out.
func declare(header string) string {
	for _, d := range []string{" xmlns:stream='" + nsStreams + "'", " xmlns='" + nsClient + "'"} {
		if name, _, _ := strings.Cut(d, "="); !strings.Contains(header, name+"=") {
			header = strings.Replace(header, "<stream:stream", "<stream:stream"+d, 1)
		}
	}
	return header
}

// login lets the server do what it does with every client.
func (p *player) login(s *Session, user string) error {
	err := p.negotiated(s, user, s.negotiate)
	if err == nil {
		p.vars["jid"] = s.jid.String()
	}
	return err
}

func (p *player) negotiated(s *Session, user string, negotiate func() error) error {
	s.raw.SetReadDeadline(time.Now().Add(p.timeout))
	if err := negotiate(); err != nil {
		return fmt.Errorf("login: %s", describe(err))
	}
	s.raw.SetReadDeadline(time.Time{})
	if user != "" && s.account.bare.Local() != user {
		return fmt.Errorf("login: want the account %s, got %s", user, s.name)
	}
	return nil
}

// after is what may still happen when the last step is over.
func (p *player) after() error {
	e, err := p.src.next(0)
	if err != nil {
		return p.closing(err)
	}
	return fmt.Errorf("the script is over, the client goes on with\n%s", pretty(e))
}

// closing answers the client's closing tag, if that is what err is.
func (p *player) closing(err error) error {
	if s := p.src.session(); err == io.EOF && s != nil {
		s.out.end([]byte(xmlstream.Footer))
		s.out.wait()
	}
	var bad *xmlstream.Error
	if errors.As(err, &bad) {
		return err
	}
	return errEnded
}

// linkSource reads from the connection. A read that was given up for time goes on; its result is the next one's.
type linkSource struct {
	s       *Session
	pending chan result
}

type result struct {
	e   *etree.Element
	err error
}

func (l *linkSource) session() *Session { return l.s }

func (l *linkSource) header(timeout time.Duration) (*etree.Element, error) {
	if l.pending != nil {
		return nil, errors.New("the client was not silent before its stream header")
	}
	return l.read(timeout, func() (*etree.Element, error) {
		if l.s.dec.Offset() > 0 {
			l.s.dec.Restart()
		}
		return l.s.header()
	})
}

func (l *linkSource) next(timeout time.Duration) (*etree.Element, error) {
	return l.read(timeout, l.s.link.next)
}

// read waits for the result of f; a timeout of zero means for ever.
func (l *linkSource) read(timeout time.Duration, f func() (*etree.Element, error)) (*etree.Element, error) {
	if timeout == 0 && l.pending == nil {
		return f()
	}
	if l.pending == nil {
		ch := make(chan result, 1)
		l.pending = ch
		l.s.srv.wg.Go(func() {
			e, err := f()
			ch <- result{e, err}
		})
	}
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	select {
	case r := <-l.pending:
		l.pending = nil
		return r.e, r.err
	case <-expired:
		return nil, errTimeout
	}
}

package testserver

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/beevik/etree"
)

// Peer plays the server's part for one account by hand: after the login, which is the server's, nothing is answered
// but what the test injects, and what the client sends waits for the test to expect it.
// Make it with [Server.Peer].
type Peer struct {
	// Timeout is how long Expect waits. If zero, [DefaultTimeout].
	Timeout time.Duration

	srv     *Server
	account *account
	player  *player

	mu      sync.Mutex
	queue   []result
	arrived chan struct{} // has room for one; a token means: look again
}

// Peer puts an account into manual mode, from its next login on. The account must exist.
func (s *Server) Peer(user string) (*Peer, error) {
	local := s.localpart(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[local]
	if a == nil {
		return nil, fmt.Errorf("testserver: there is no account %q", user)
	}
	if a.peer == nil {
		p := &Peer{srv: s, account: a, arrived: make(chan struct{}, 1)}
		p.player = newPlayer(s, 0, p)
		a.peer = p
	}
	return a.peer, nil
}

func (s *Server) peerOf(session *Session) *Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return session.account.peer
}

// serve collects what a client of the account sends.
func (p *Peer) serve(s *Session) error {
	for {
		e, err := s.link.next()
		if err == nil && !s.begins(e) {
			err = errCut
		}
		p.put(result{e, err})
		if err != nil {
			return err
		}
	}
}

func (p *Peer) put(r result) {
	p.mu.Lock()
	p.queue = append(p.queue, r)
	p.mu.Unlock()
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

// session returns the newest bound session; Inject needs one.
func (p *Peer) session() *Session {
	p.srv.mu.Lock()
	defer p.srv.mu.Unlock()
	var newest *Session
	for _, s := range p.account.sessions {
		if newest == nil || s.order > newest.order {
			newest = s
		}
	}
	return newest
}

func (p *Peer) header(time.Duration) (*etree.Element, error) {
	return nil, fmt.Errorf("a stream header is for scripts that play the login")
}

func (p *Peer) next(timeout time.Duration) (*etree.Element, error) {
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	for {
		p.mu.Lock()
		if len(p.queue) > 0 {
			r := p.queue[0]
			p.queue = p.queue[1:]
			p.mu.Unlock()
			return r.e, r.err
		}
		p.mu.Unlock()
		select {
		case <-p.arrived:
		case <-expired:
			return nil, errTimeout
		}
	}
}

func (p *Peer) prepare() {
	p.player.timeout = p.Timeout
	if p.Timeout == 0 {
		p.player.timeout = DefaultTimeout
	}
	if s := p.session(); s != nil {
		p.player.vars["jid"] = s.jid.String()
	}
}

// Inject sends XML to the client, as it is but for {variables}. It needs a client that has bound a resource.
func (p *Peer) Inject(xml string) error {
	p.prepare()
	return p.player.step(step{verb: "S:", arg: xml})
}

// Expect waits for the client's next element and compares it with xml, as a C: line of [ParseScript] does.
func (p *Peer) Expect(xml string) error {
	p.prepare()
	return p.player.step(step{verb: "C:", arg: strings.TrimSpace(xml)})
}

// Next returns the client's next element, whatever it is; io.EOF after the closing tag.
func (p *Peer) Next() (*etree.Element, error) {
	p.prepare()
	e, err := p.next(p.player.timeout)
	if err == errTimeout {
		err = fmt.Errorf("the client sent nothing within %v", p.player.timeout)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("testserver: %w", err)
	}
	return e, err
}

// Play goes through a transcript, as [ParseScript] describes it; S!login, S!auth and S!tls are not for it.
// Variables last as long as the Peer. It is for one goroutine at a time, as Inject, Expect and Next are.
func (p *Peer) Play(transcript string) error {
	sc, err := ParseScript(transcript)
	if err != nil {
		return err
	}
	for _, st := range sc.steps {
		if st.verb == "S!login" || st.verb == "S!auth" || st.verb == "S!tls" || st.verb == "C!rest" {
			return fmt.Errorf("line %d: %s is for scripts of whole connections", st.line, st.verb)
		}
	}
	p.prepare()
	err = p.player.play(sc)
	if err == errEnded {
		return nil
	}
	if err != nil && len(sc.steps) > 1 {
		return fmt.Errorf("line %d: %w", sc.at, err)
	}
	return err
}

package xmpptest

import (
	"slices"
	"testing"
	"time"

	"github.com/beevik/etree"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// Script returns a server that speaks from transcripts: each of the next connections plays one of them, in order,
// and connections beyond them are refused. A client that deviates fails the test, with the line and both elements,
// and its connection is closed. The end of the test waits for the transcripts to be over; see also [Server.Wait].
//
// A transcript has a line for each thing that is said:
//
//	C: <xml>        the client must send this next; it is compared as a tree, see below
//	S: <xml>        the server sends this, byte for byte
//	S!login [user]  the whole login, as a real server does it, up to the bound resource; {jid} becomes the full JID
//	S!auth [user]   the login without the last step: up to the features after it; what follows is by hand, or S!login
//	S!tls           the server's side of a TLS handshake
//	S!raw "text"    sends a Go string literal: any bytes
//	S!drip on|off   writes one byte at a time
//	S!shut          half-closes: the server sends nothing more
//	S!close         closes the connection, without a closing tag
//	S!reset         breaks the connection, as a TCP reset does; in memory, once the client has read what was sent before
//	S!stall         reads and writes nothing until the server is closed
//	S!wait 1s       pauses
//	C!any           the client must send an element, whatever it is
//	C!rest          from here on the client may send what it likes
//	C!idle 1s       the client must send nothing for that long
//	C!eof           the client must end the connection without a closing tag
//
// Lines that begin otherwise continue the line above; empty lines and those that begin with # mean nothing.
//
// A stream header (<stream:stream …>) matches when the attributes named in the script match; the client's may have others.
// C: may leave out its declarations; S: is sent as it stands.
// Every other element must be the same tree of names, attributes and text;
// prefixes, the order of attributes, and white space between elements do not matter.
// An attribute or text "*" matches every value, text "*" also any child elements.
// {name} as a whole value takes the value at its first use; afterwards it stands for that value, in S: lines too.
// {domain} is known from the start.
//
// After the last line the client may only close its stream.
func Script(t testing.TB, transcripts ...string) *Server {
	t.Helper()
	return ScriptWith(t, nil, transcripts...)
}

// ScriptWith is [Script] with options for the server.
func ScriptWith(t testing.TB, opts []Option, transcripts ...string) *Server {
	t.Helper()
	s := NewServer(t, opts...)
	s.Play(transcripts...)
	if len(transcripts) == 0 {
		t.Fatal("xmpptest: Script without a transcript")
	}
	return s
}

// Play makes each of the next connections play a transcript, see [Script].
// From then on connections beyond the transcripts are refused.
func (s *Server) Play(transcripts ...string) {
	s.t.Helper()
	for i, text := range transcripts {
		sc, err := testserver.ParseScript(text)
		if err != nil {
			s.t.Fatalf("xmpptest: transcript %d: %v", i+1, err)
		}
		sc.Timeout = s.settings.timeout
		sc.OnError = func(err error) { s.t.Errorf("xmpptest: transcript %d: %v", i+1, err) }
		s.mu.Lock()
		s.scripts = append(s.scripts, sc)
		s.mu.Unlock()
		s.srv.AddScripts(true, sc)
	}
}

// Wait returns when all transcripts are over, played to their end, to S!stall or C!rest, or given up.
// A transcript that no client has connected for in time fails the test.
func (s *Server) Wait() {
	s.t.Helper()
	timeout := s.settings.timeout
	if timeout == 0 {
		timeout = testserver.DefaultTimeout
	}
	for i, sc := range s.played() {
		timer := time.NewTimer(timeout)
		select {
		case <-sc.Started():
			<-sc.Settled()
		case <-timer.C:
			s.t.Errorf("xmpptest: transcript %d: no client has connected within %v", i+1, timeout)
		}
		timer.Stop()
	}
}

func (s *Server) played() []*testserver.Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.scripts)
}

// settleScripts waits for the transcripts that a client has connected for.
func (s *Server) settleScripts() {
	for _, sc := range s.played() {
		select {
		case <-sc.Started():
			<-sc.Settled()
		default: // Close reports it
		}
	}
}

// Peer plays the server's part for one account by hand. Its methods fail the test where the client deviates.
// They belong to the goroutine of the test: they may call FailNow.
type Peer struct {
	t    testing.TB
	peer *testserver.Peer
}

// Peer puts an account into manual mode from its next login on: the login is the server's, after it nothing is answered
// but by the test, and what the client sends waits for the test to expect it. The account is added if it does not exist.
func (s *Server) Peer(user string) *Peer {
	s.t.Helper()
	s.Config(user) // so that the account exists
	p, err := s.srv.Peer(user)
	if err != nil {
		s.t.Fatalf("xmpptest: %v", err)
	}
	p.Timeout = s.settings.timeout
	return &Peer{t: s.t, peer: p}
}

// Pair returns a stream that is logged in as juliet@example.test and the server's end of it, to be played by the test.
// The stream sends no initial presence. setup is called before it connects: the place for delegates and modules.
// Both end with the test.
func Pair(t testing.TB, setup ...func(*xmpp.Stream)) (*xmpp.Stream, *Peer) {
	t.Helper()
	s := NewServer(t)
	p := s.Peer("juliet")
	c := s.Config("juliet")
	c.NoInitialPresence = true
	return login(t, c, setup...), p
}

// Inject sends XML to the client, byte for byte but for {variables}, see [Script].
func (p *Peer) Inject(xml string) {
	p.t.Helper()
	p.must(p.peer.Inject(xml))
}

// Expect waits for the next element from the client and compares it with xml, as a C: line of [Script] does.
// {variables} that it takes can be used in Inject.
func (p *Peer) Expect(xml string) {
	p.t.Helper()
	p.must(p.peer.Expect(xml))
}

// Next waits for the next element from the client and returns it.
func (p *Peer) Next() *etree.Element {
	p.t.Helper()
	e, err := p.peer.Next()
	p.must(err)
	return e
}

// Play goes through a transcript, see [Script]; S!login, S!auth, S!tls and C!rest have no place in it.
func (p *Peer) Play(transcript string) {
	p.t.Helper()
	p.must(p.peer.Play(transcript))
}

// While calls f on another goroutine, goes through a transcript meanwhile, and returns when both are over.
// It is for calls that wait for an answer.
func (p *Peer) While(f func(), transcript string) {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	err := p.peer.Play(transcript)
	p.must(err) // on failure the call may still be waiting; the end of the test ends its stream
	<-done
}

func (p *Peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("xmpptest: %v", err)
	}
}

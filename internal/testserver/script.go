package testserver

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DefaultTimeout is how long a script or a [Peer] waits for the client, unless it is told otherwise.
const DefaultTimeout = 5 * time.Second

// Script is one connection, said beforehand. Make it with [ParseScript], give it to [Server.AddScripts].
type Script struct {
	// Timeout is how long each step waits for the client. If zero, [DefaultTimeout].
	Timeout time.Duration
	// OnError is called once with the first deviation, on the server's goroutine. If nil, see [Script.Err].
	OnError func(error)

	steps                  []step
	started, settled, done chan struct{}
	settle                 func() // closes settled, once

	mu       sync.Mutex
	err      error
	at       int // line of the step under way; 0 before the connection
	finished bool
}

// step is one line of a script.
type step struct {
	line int
	verb string // "C:", "S:", or an action such as "S!tls"
	arg  string
}

// actions lists what may follow "C!" and "S!", and whether an argument must, may not, or may be there.
var actions = map[string]string{
	"S!login": "may", "S!auth": "may", "S!tls": "no", "S!raw": "must", "S!drip": "must",
	"S!shut": "no", "S!close": "no", "S!reset": "no", "S!stall": "no", "S!wait": "must",
	"C!any": "no", "C!rest": "no", "C!idle": "must", "C!eof": "no",
}

// ParseScript reads a transcript: what is said on one connection, a line at a time.
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
//	S!reset         breaks the connection, as a TCP RST does; in memory, once the client has read what was sent before
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
// Every other element must be the same tree of names, attributes and text; prefixes, the order of attributes, and white space between elements do not matter.
// An attribute or text "*" matches every value, text "*" also any child elements.
// {name} as a whole value takes the value at its first use; afterwards it stands for that value, in S: lines too.
// {domain} is known from the start.
//
// After the last line the client may only close its stream.
func ParseScript(transcript string) (*Script, error) {
	s := &Script{started: make(chan struct{}), settled: make(chan struct{}), done: make(chan struct{})}
	s.settle = sync.OnceFunc(func() { close(s.settled) })
	for i, line := range strings.Split(transcript, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		verb, arg, ok := cutVerb(line)
		if !ok {
			if err := s.extend(line); err != nil {
				return nil, fmt.Errorf("script line %d: %w", i+1, err)
			}
			continue
		}
		s.steps = append(s.steps, step{line: i + 1, verb: verb, arg: arg})
	}
	for _, st := range s.steps {
		if err := st.check(); err != nil {
			return nil, fmt.Errorf("script line %d: %w", st.line, err)
		}
	}
	if len(s.steps) == 0 {
		return nil, errors.New("the script is empty")
	}
	return s, nil
}

// cutVerb reports false for a line that continues the one above.
func cutVerb(line string) (verb, arg string, ok bool) {
	if len(line) < 2 || (line[0] != 'C' && line[0] != 'S') {
		return "", "", false
	}
	switch line[1] {
	case ':':
		return line[:2], strings.TrimSpace(line[2:]), true
	case '!':
		verb, arg, _ := strings.Cut(line, " ")
		return verb, strings.TrimSpace(arg), true
	}
	return "", "", false
}

// extend joins a continuation: nothing goes between two tags, a space anywhere else.
func (s *Script) extend(line string) error {
	if len(s.steps) == 0 || s.steps[len(s.steps)-1].verb[1] != ':' {
		return fmt.Errorf("%q continues nothing: C: or S: begins a line", clip(line))
	}
	last := &s.steps[len(s.steps)-1]
	if last.arg != "" && !(strings.HasSuffix(last.arg, ">") && strings.HasPrefix(line, "<")) {
		last.arg += " "
	}
	last.arg += line
	return nil
}

func (st step) check() error {
	switch st.verb {
	case "S:":
		return nil
	case "C:":
		if isHeader(st.arg) || isFooter(st.arg) {
			return nil
		}
		_, err := parseFragment(st.arg)
		return err
	}
	need, ok := actions[st.verb]
	switch {
	case !ok:
		return fmt.Errorf("there is no action %s", st.verb)
	case need == "must" && st.arg == "":
		return fmt.Errorf("%s needs an argument", st.verb)
	case need == "no" && st.arg != "":
		return fmt.Errorf("%s takes no argument", st.verb)
	}
	var err error
	switch st.verb {
	case "S!raw":
		_, err = strconv.Unquote(st.arg)
	case "S!wait", "C!idle":
		_, err = time.ParseDuration(st.arg)
	case "S!drip":
		if !slices.Contains([]string{"on", "off"}, st.arg) {
			err = errors.New("the action S!drip is on or off")
		}
	}
	return err
}

func isHeader(xml string) bool {
	return strings.HasPrefix(xml, "<?xml") || strings.HasPrefix(xml, "<stream:stream")
}

func isFooter(xml string) bool { return strings.HasPrefix(xml, "</stream:stream") }

// Done is closed when the last step is over or the client has deviated.
func (s *Script) Done() <-chan struct{} { return s.done }

// Err returns the first deviation, nil when there was none so far.
// After [Server.Close] a script that was never connected, or did not come to its end, has an error too.
func (s *Script) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Started is closed when a client has connected.
func (s *Script) Started() <-chan struct{} { return s.started }

// Settled is closed when the script is done, or has come to S!stall or C!rest, which last as long as the connection.
func (s *Script) Settled() <-chan struct{} { return s.settled }

func (s *Script) timeout() time.Duration {
	if s.Timeout == 0 {
		return DefaultTimeout
	}
	return s.Timeout
}

func (s *Script) setStep(st step) {
	s.mu.Lock()
	s.at = st.line
	s.mu.Unlock()
	if st.verb == "S!stall" || st.verb == "C!rest" {
		s.settle()
	}
}

// finish ends the script; only the first error counts, and it may come after the last step.
func (s *Script) finish(err error) {
	s.mu.Lock()
	report := err != nil && s.err == nil
	if report {
		if s.at > 0 {
			err = fmt.Errorf("script line %d: %w", s.at, err)
		}
		s.err = err
	}
	if !s.finished {
		s.finished = true
		s.settle()
		close(s.done)
	}
	s.mu.Unlock()
	if report && s.OnError != nil {
		s.OnError(err)
	}
}

// AddScripts gives the next connections to the scripts, one each, in order.
// With only set, connections beyond the scripts are refused; otherwise the server serves them as usual.
func (s *Server) AddScripts(only bool, scripts ...*Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts = append(s.scripts, scripts...)
	s.scripted = s.scripted || only
}

// runScript plays a script on a new connection.
func (s *Session) runScript(sc *Script) {
	close(sc.started)
	s.manual = true
	err := s.start()
	if err != nil {
		err = fmt.Errorf("the client connected and sent nothing: %s", describe(err))
	} else {
		p := newPlayer(s.srv, sc.timeout(), &linkSource{s: s})
		err = p.play(sc)
		if err == nil {
			sc.finish(nil)
			err = p.after()
		}
	}
	if err == errEnded {
		err = nil
	}
	sc.finish(err)
	s.leave()
	s.raw.SetWriteDeadline(time.Now().Add(linger))
	s.out.wait()
	s.kill()
	s.leaveAnonymous()
}

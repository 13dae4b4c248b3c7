package xmpptest

import "github.com/go-xmppframework/xmpp/internal/testserver"

// Cut is how a connection ends that is cut.
type Cut int

const (
	// CutReset breaks the connection in both directions, as a TCP reset does: calls fail with ECONNRESET.
	CutReset = Cut(testserver.CutReset)
	// CutClose ends it as a process that dies does: the client reads the end of the connection,
	// without the closing tag of the stream and without TLS's close_notify.
	CutClose = Cut(testserver.CutClose)
	// CutSilence leaves it half-open: nothing comes any more, and what the client sends is lost,
	// until the client closes it. Only a timeout notices.
	CutSilence = Cut(testserver.CutSilence)
)

// Step is a place in the negotiation of a stream, named by what the server does or says there.
// Not every connection comes to all: the secure ones need TLS, StepFeatures and StepStartTLS an unencrypted beginning,
// StepChallenge a mechanism with a challenge, which PLAIN has not, StepEnable and StepResume stream management.
type Step int

const (
	// StepDial is the connection itself. CutReset makes it be refused where the server can, in memory;
	// otherwise it is taken, and cut before anything is said.
	StepDial = Step(testserver.StepDial)
	// StepHeader is the stream header of an unencrypted stream before the login.
	StepHeader = Step(testserver.StepHeader)
	// StepFeatures is the features of that stream.
	StepFeatures = Step(testserver.StepFeatures)
	// StepStartTLS is <proceed/>.
	StepStartTLS = Step(testserver.StepStartTLS)
	// StepHandshake is the server's first words in the TLS handshake, direct TLS or not.
	StepHandshake = Step(testserver.StepHandshake)
	// StepSecureHeader is the stream header of an encrypted stream before the login.
	StepSecureHeader = Step(testserver.StepSecureHeader)
	// StepSecureFeatures is the features of that stream.
	StepSecureFeatures = Step(testserver.StepSecureFeatures)
	// StepChallenge is a SASL challenge. All that is built in has at most one.
	StepChallenge = Step(testserver.StepChallenge)
	// StepSuccess is the success of SASL.
	StepSuccess = Step(testserver.StepSuccess)
	// StepSessionHeader is the stream header after the login.
	StepSessionHeader = Step(testserver.StepSessionHeader)
	// StepSessionFeatures is the features of that stream.
	StepSessionFeatures = Step(testserver.StepSessionFeatures)
	// StepBind is the answer with the bound address. The server has bound it.
	StepBind = Step(testserver.StepBind)
	// StepEnable is the answer to <enable/> of XEP-0198. The server has stream management enabled unless it refuses.
	StepEnable = Step(testserver.StepEnable)
	// StepResume is the answer to <resume/> of XEP-0198. The server has resumed the session unless it refuses.
	StepResume = Step(testserver.StepResume)
	// StepSession is the first stanza after all that, mostly initial presence. It has come, is lost, and nothing is said.
	// Login may have returned by then.
	StepSession = Step(testserver.StepSession)

	// StepFailure is a failure of SASL or SASL2, of compression, or of the login of XEP-0078. It and those below are not among [Steps].
	StepFailure = Step(testserver.StepFailure)
	// StepContinue is the <continue/> of SASL2, which lists tasks; StepTask is the data of a task.
	StepContinue = Step(testserver.StepContinue)
	StepTask     = Step(testserver.StepTask)
	// StepCompressed is <compressed/> of XEP-0138.
	StepCompressed = Step(testserver.StepCompressed)
	// StepFields is the fields of the login of XEP-0078; its answer is StepSuccess or StepFailure.
	StepFields = Step(testserver.StepFields)
)

// Steps returns the steps up to StepSession, in the order in which a connection comes to them.
// With SASL2, StepBind, StepEnable and StepResume are the same place as StepSuccess where they are part of it.
func Steps() []Step {
	var out []Step
	for s := StepDial; s <= StepSession; s++ {
		out = append(out, s)
	}
	return out
}

// String returns the name of the step: dial, header, features, starttls, handshake, …
func (s Step) String() string { return testserver.Step(s).String() }

// CutAt makes the server cut the next n connections that come to a step, before it says there what it would have said.
// n negative means all, and 0 none: that lifts the cut. Every step has a cut of its own, a later one replaces it.
//
// What the client asked for in that step is done all the same, only the answer is lost.
// The server cuts where it speaks, so steps inside TLS are met as exactly as those before it.
func (s *Server) CutAt(step Step, n int, how Cut) {
	s.t.Helper()
	s.CutInside(step, n, how, 0)
}

// CutInside is [Server.CutAt] after so many bytes of what the server says at the step; negative means all of it,
// and is followed by the cut at once. Bytes are those before encryption, except in the handshake.
// In memory the client reads them before a reset; over TCP a reset may destroy them.
func (s *Server) CutInside(step Step, n int, how Cut, bytes int) {
	s.t.Helper()
	if step < StepDial || step > StepFields || how < CutReset || how > CutSilence {
		s.t.Fatalf("xmpptest: a cut of kind %d at %v", how, step)
	}
	s.srv.Cut(testserver.Step(step), n, testserver.CutKind(how), bytes)
}

// Cuts returns how many connections were cut by [Server.CutAt] and [Server.CutInside] so far.
func (s *Server) Cuts() int { return s.srv.Cuts() }

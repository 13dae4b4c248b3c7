package xmpp

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Sentinels, matched with [errors.Is]. Each names the calls that return it.
var (
	// ErrClosed is returned by every call that needs a connection after [Stream.Close], and by calls that Close interrupts.
	ErrClosed = errors.New("xmpp: the stream is closed")
	// ErrInvalidState is returned by calls made in the wrong state, such as [Stream.Connect] while connected.
	ErrInvalidState = errors.New("xmpp: not possible in this state")
	// ErrInvalidParameter is returned by [New], [Stream.Send] and [Stream.SendIQ] for arguments that can never work.
	ErrInvalidParameter = errors.New("xmpp: invalid parameter")
	// ErrUnsupported is returned where the server does not offer what the call needs, such as STARTTLS.
	ErrUnsupported = errors.New("xmpp: not offered by the server")
	// ErrNoCredentials is returned by [Stream.Login] when Config.Credentials is nil.
	ErrNoCredentials = errors.New("xmpp: Config.Credentials is not set")
	// ErrTLSRequired is returned by [Stream.Connect] and the Authenticate calls
	// when the connection is not encrypted and the policy is [TLSRequired].
	ErrTLSRequired = errors.New("xmpp: TLS is required and the server does not offer it")
	// ErrTLSInjection is returned by [Stream.Connect] when bytes followed the server's <proceed/> in clear text.
	ErrTLSInjection = errors.New("xmpp: unencrypted data after <proceed/>: possible injection")
	// ErrMechanismDowngrade is returned by the Authenticate calls when the server offers
	// only mechanisms weaker than one that this Stream has logged in with before.
	ErrMechanismDowngrade = errors.New("xmpp: the server offers only weaker mechanisms than before")
	// ErrDropped is returned by [Stream.Send] when an interceptor dropped the stanza.
	ErrDropped = errors.New("xmpp: dropped by an interceptor")
	// ErrInInterceptor is returned by calls that would wait, made with the ctx of an interceptor.
	ErrInInterceptor = errors.New("xmpp: interceptors must not wait")
	// ErrQueueBusy is returned by [Stream.Close] when a queue was still running a callback at its deadline.
	// The connection is closed all the same.
	ErrQueueBusy = errors.New("xmpp: a delegate's queue is still busy (inside a callback, Close needs that callback's ctx)")
	// ErrIQTimeout is returned by [Stream.SendIQ] when no answer came within Config.IQTimeout.
	ErrIQTimeout = errors.New("xmpp: no answer to the request in time")
	// ErrDuplicateID is returned by [Stream.SendIQ] when a request with the same id is still open.
	ErrDuplicateID = errors.New("xmpp: a request with this id is open")
	// ErrStanzaTooBig is returned by [Stream.Send] for a stanza above the limit that the server announced (XEP-0478).
	ErrStanzaTooBig = errors.New("xmpp: stanza is larger than the server accepts")
	// ErrInvalidXMLChar is returned by [Stream.Send] for text or an attribute value that is not UTF-8
	// or holds a character that XML cannot carry, such as U+0000.
	ErrInvalidXMLChar = xmlstream.ErrInvalidXMLChar
	// ErrInvalidXMLName is returned by [Stream.Send] for a name that is none, a prefix that is not bound,
	// or an attribute that is there twice.
	ErrInvalidXMLName = xmlstream.ErrInvalidName
	// ErrRestrictedXML is returned by [Stream.Send] for a comment, a processing instruction or a directive.
	ErrRestrictedXML = xmlstream.ErrRestrictedXML
	// ErrNegotiationTimeout is the cause when the server did not complete a step within Config.ConnectTimeout.
	ErrNegotiationTimeout = errors.New("xmpp: the server did not answer in time")
	// ErrWriteTimeout is the cause of a disconnect when the socket took no bytes for Config.WriteTimeout.
	ErrWriteTimeout = errors.New("xmpp: the connection accepts no data")
	// ErrWriteOverflow is the cause of a disconnect when more than 16 MiB of answers waited for a server that does not read.
	ErrWriteOverflow = errors.New("xmpp: the server asks and does not read the answers")
	// ErrUnexpectedElement is the cause of a disconnect when the server sent something that has no place in that step.
	ErrUnexpectedElement = errors.New("xmpp: unexpected element")
	// ErrHandlerExists is returned by [Stream.HandleIQ] when the payload has an owner already.
	ErrHandlerExists = errors.New("xmpp: this payload has a handler already")
	// ErrModuleActive is returned by [ModuleBase.Attach] for a module that is active on a stream.
	ErrModuleActive = errors.New("xmpp: the module is already active")
	// ErrAborted is in the error of a [Stream.Connect] or Authenticate call that [Stream.Disconnect] interrupted.
	ErrAborted = errors.New("xmpp: the application ended the attempt")
	// ErrNoOpinion is returned by a [TrustDelegate] that leaves the decision to the others, in the end to the ordinary verification.
	ErrNoOpinion = errors.New("xmpp: no opinion about the certificate")
	// ErrBindFallback is returned by a [Binder] that leaves binding to the stream.
	ErrBindFallback = errors.New("xmpp: bind in the ordinary way")
)

// DisconnectedError is returned by calls that needed a connection which is not there, or which was lost while they waited.
type DisconnectedError struct {
	// Cause is why the connection ended, nil if there was none yet or the application ended it.
	Cause error
}

func (e *DisconnectedError) Error() string {
	if e.Cause == nil {
		return "xmpp: not connected"
	}
	return "xmpp: not connected: " + strings.TrimPrefix(e.Cause.Error(), "xmpp: ")
}

func (e *DisconnectedError) Unwrap() error { return e.Cause }

// ProxyError is in the error of [Stream.Connect] when Config.Proxy has not made a connection. It names neither user nor password of the proxy.
type ProxyError = transport.ProxyError

// Attempt is one try to reach a server, part of a [ConnectError].
type Attempt struct {
	// Step is where it failed: "resolve", "dial", "TLS", "stream" or "starttls"; over HTTP "host-meta", "websocket" or "bosh".
	Step string
	// Addr is the host and port, or the address, that was tried; the domain for "resolve" and "host-meta".
	Addr string
	// Err is what happened.
	Err error
}

// ConnectError is returned by [Stream.Connect] and [Stream.Login] when no server could be reached.
// It holds every attempt, in order.
type ConnectError struct {
	Domain   string
	Attempts []Attempt
}

func (e *ConnectError) Error() string {
	var b strings.Builder
	b.WriteString("xmpp: connecting to " + clip(e.Domain))
	for i, a := range e.Attempts {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + a.Step + " " + clip(a.Addr) + ": " + reason(a.Err) + hint(a.Err))
	}
	return b.String()
}

// reason is the text of a cause, on one line and without what the text around it says already.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), "xmpp: ")
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var parts []string
		for _, err := range many.Unwrap() {
			if r := reason(err); !slices.Contains(parts, r) {
				parts = append(parts, r)
			}
		}
		text = strings.Join(parts, "; ")
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// hint says what to do about a cause that has one usual remedy.
func hint(err error) string {
	if ua := (x509.UnknownAuthorityError{}); errors.As(err, &ua) {
		return " (Config.RootCAs names authorities to trust, a TrustDelegate decides about single certificates)"
	}
	return ""
}

// Unwrap returns the error of every attempt.
func (e *ConnectError) Unwrap() []error {
	errs := make([]error, len(e.Attempts))
	for i, a := range e.Attempts {
		errs[i] = a.Err
	}
	return errs
}

// AuthError is returned by [Stream.Login] and the Authenticate calls when logging in failed.
type AuthError struct {
	// Step is "SASL", "bind", "session", or for a component "handshake".
	Step string
	// Mechanism is the SASL mechanism in use, empty when none was chosen.
	Mechanism string
	// Addr is the host and port of the server.
	Addr string
	// Account is who tried to log in.
	Account JID
	// Condition is what the server said; empty when the failure is on this side: Err tells then.
	// errors.Is(err, xmpp.NotAuthorized) tests it.
	Condition SASLCondition
	// Text is the server's own explanation, at most 1 KiB.
	Text string
	// Err is the cause on this side, or the *stanza.Error of a refused bind.
	Err error
}

func (e *AuthError) Error() string {
	b := "xmpp: logging in as " + clip(e.Account.String()) + " at " + clip(e.Addr) + ": " + e.Step
	if e.Mechanism != "" {
		b += " " + e.Mechanism
	}
	b += " failed"
	if e.Condition != "" {
		b += ": " + clip(string(e.Condition))
	}
	if e.Condition == NotAuthorized {
		b += ", wrong user or password"
	}
	if e.Text != "" {
		b += " (" + clip(e.Text) + ")"
	}
	if e.Err != nil {
		b += ": " + strings.TrimPrefix(e.Err.Error(), "xmpp: ")
	}
	return b
}

func (e *AuthError) Unwrap() error { return e.Err }

// Is matches the condition.
func (e *AuthError) Is(target error) bool {
	c, ok := target.(SASLCondition)
	return ok && c == e.Condition && c != ""
}

// SASLCondition is why a server refused a login, RFC 6120 section 6.5. It is an error, for [errors.Is].
type SASLCondition string

// The conditions of RFC 6120 section 6.5.
const (
	Aborted              SASLCondition = "aborted"
	AccountDisabled      SASLCondition = "account-disabled"
	CredentialsExpired   SASLCondition = "credentials-expired"
	EncryptionRequired   SASLCondition = "encryption-required"
	IncorrectEncoding    SASLCondition = "incorrect-encoding"
	InvalidAuthzid       SASLCondition = "invalid-authzid"
	InvalidMechanism     SASLCondition = "invalid-mechanism"
	MalformedRequest     SASLCondition = "malformed-request"
	MechanismTooWeak     SASLCondition = "mechanism-too-weak"
	NotAuthorized        SASLCondition = "not-authorized" // wrong user or password
	TemporaryAuthFailure SASLCondition = "temporary-auth-failure"
)

// Error is the condition itself, escaped and cut.
func (c SASLCondition) Error() string { return clip(string(c)) }

// StreamError is an error of the whole stream, RFC 6120 section 4.9. It always ends the connection.
type StreamError struct {
	// Condition is the defined condition, such as "conflict"; "undefined-condition" if there was none.
	Condition string
	// Text is the explanation, at most 1 KiB.
	Text string
	// Element is the whole error as received; of a Local one the application-specific condition that is sent with it, or nil. Read-only.
	Element *etree.Element
	// Local is set when this side found the error, and told the server.
	Local bool
	// Err is the cause of a local error.
	Err error
}

func (e *StreamError) Error() string {
	who := "server"
	if e.Local {
		who = "client"
	}
	s := fmt.Sprintf("xmpp: stream error by the %s: %s", who, clip(e.Condition))
	if e.Text != "" {
		s += " (" + clip(e.Text) + ")"
	}
	if e.Err != nil {
		s += ": " + strings.TrimPrefix(e.Err.Error(), "xmpp: ")
	}
	return s
}

func (e *StreamError) Unwrap() error { return e.Err }

// Is reports equality by condition, so that errors.Is(err, &StreamError{Condition: "conflict"}) works.
func (e *StreamError) Is(target error) bool {
	t, ok := target.(*StreamError)
	return ok && t.Condition == e.Condition
}

// OtherHost is where a see-other-host of the server sends the client to (RFC 6120 section 4.9.3.19). host is empty where it is
// no such error, or names nothing that can be the name or address of a host; port is 0 where it names none.
// [Stream.Login] goes there by itself where the connection was encrypted, if the certificate there is one for the domain that it wanted.
func (e *StreamError) OtherHost() (host string, port uint16) {
	if e.Local || e.Condition != "see-other-host" {
		return "", 0
	}
	host = strings.TrimSpace(stanza.Text(stanza.Child(e.Element, e.Condition, stanza.NSStreamErrors)))
	if h, p, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0
		}
		host, port = h, uint16(n)
	} else if in, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(in, "]") {
		host = strings.TrimSuffix(in, "]")
	}
	bad := func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(":/?#@\\\"'<>[]", r) }
	if _, err := netip.ParseAddr(host); err != nil && (len(host) > 255 || strings.ContainsFunc(host, bad)) {
		return "", 0
	}
	return host, port
}

// SlowDelegateError is the cause of a disconnect when a delegate's queue reached its hard limit:
// [QueueHardStanzas] stanzas or [QueueHardBytes] bytes. Nothing was dropped before that.
type SlowDelegateError struct {
	Delegate string // the name of the delegate that was running
	Stanzas  int    // waiting in its queue
	Bytes    int    // wire bytes waiting in its queue
}

func (e *SlowDelegateError) Error() string {
	return fmt.Sprintf("xmpp: delegate %s is too slow: %d stanzas, %d bytes wait in its queue", clip(e.Delegate), e.Stanzas, e.Bytes)
}

// PanicError is what a panic of a callback becomes: the value given to Config.OnPanic,
// or the value panicked with again where that is nil.
type PanicError struct {
	Delegate string // name of the delegate, module or interceptor
	Value    any    // what it panicked with
	Stack    []byte // of the panic
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("xmpp: delegate %s panicked: %v\n%s", clip(e.Delegate), e.Value, e.Stack)
}

func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

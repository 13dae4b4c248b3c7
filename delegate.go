package xmpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"reflect"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Delegate listens to a [Stream]: a struct of small interfaces, of which a listener sets those it implements.
// A misspelt method or a wrong signature does not compile. Register it with [Stream.AddDelegate].
//
// # Delivery
//
// In short: each delegate's callbacks run one at a time, in the order of the stream, and may call and wait for anything,
// always with the ctx they are given. Nothing is lost; a slow callback slows the server. In full:
//
//  1. The goroutine that reads from the server never runs a Did… callback. It posts them to queues.
//  2. Callbacks on one [Queue] run one at a time, in stream order; different queues run concurrently.
//     The same queue given to a stream and to modules makes one total order.
//  3. A queue holds a goroutine only while it has work. An idle stream is one goroutine.
//  4. Nothing is dropped or reordered. A queue is full at [QueueStanzas] stanzas or [QueueBytes] wire bytes;
//     while one is full the reader pauses until it is half empty, so that TCP slows the server.
//     The reader goes on although a queue is full while anything waits on this connection
//     ([Stream.SendIQ], a Send waiting for room, [Receipt.Wait], [Queue.Flush], Close, [Stream.Await]),
//     and when the pause has lasted Config.MaxPause: then it reads what is there, and may pause again.
//     At [QueueHardStanzas] stanzas or [QueueHardBytes] bytes in one queue the stream ends with [*SlowDelegateError].
//  5. Callbacks may call anything on the stream and its modules: Send, SendIQ, Close, AddDelegate, remove.
//  6. A callback's ctx carries its queue, and ends when its session ends: when a new session starts,
//     or the stream is closed for good. DidDisconnect is the last event of a connection, once, with nil or the cause;
//     its ctx is alive, and connecting again from it is legal.
//  7. Close, Flush and remove wait for queues, except for the queue that runs the callback whose ctx they are given;
//     its remaining callbacks, DidDisconnect last, run after that callback returns.
//     Given a foreign ctx inside a callback, Close ends at its deadline with [ErrQueueBusy], the connection closed.
//  8. Stanzas given to callbacks are shared and read-only: Copy first.
//  9. Panics are not swallowed, unless Config.OnPanic is set. One in a question (trust, bind, resource) fails the call that asked.
//  10. SendIQ may return before messages that arrived ahead of its answer have been delivered; [Queue.Flush] waits for them.
//
// Every family is an interface of one to three methods that never grows.
type Delegate struct {
	// Name is for logs and errors. If zero, the type of the first family set.
	Name string
	// Queue runs the callbacks. If zero, the delegate gets a queue of its own.
	Queue *Queue

	Connection  ConnectionDelegate
	Negotiation NegotiationDelegate
	Secure      SecureDelegate
	Trust       TrustDelegate
	Register    RegisterDelegate
	Auth        AuthDelegate
	Session     SessionDelegate
	Bind        BindDelegate
	Resource    ResourceDelegate
	JID         JIDDelegate
	IQ          IQDelegate
	Message     MessageDelegate
	Presence    PresenceDelegate
	Sent        SentDelegate
	NotSent     NotSentDelegate
	Filter      FilterDelegate
	Element     ElementDelegate
	Error       ErrorDelegate
	Disconnect  DisconnectDelegate
	Abort       AbortDelegate
	Module      ModuleDelegate
	P2P         P2PDelegate
}

// ConnectionDelegate hears of connections coming and going.
type ConnectionDelegate interface {
	// WillConnect is called at the beginning of each Connect, before any network activity.
	WillConnect(ctx context.Context, s *Stream)
	// DidConnect is called when the stream is open and secured as the policy demands, before logging in;
	// and again after [Stream.Secure].
	DidConnect(ctx context.Context, s *Stream)
	// DidDisconnect is the last event of each connection attempt, once: err is nil when the application or the
	// server ended it in the ordinary way, else the cause. Connecting again from here is legal.
	DidDisconnect(ctx context.Context, s *Stream, err error)
}

// NegotiationDelegate hears of the beginning of a connection.
type NegotiationDelegate interface {
	// SocketDidConnect is called when a network connection is up, before TLS and XML.
	// The connection belongs to the stream: reading or writing breaks it.
	SocketDidConnect(ctx context.Context, s *Stream, conn net.Conn)
	// DidStartNegotiation is called once a connection, when the first stream header is about to be sent.
	DidStartNegotiation(ctx context.Context, s *Stream)
}

// SecureDelegate hears of TLS handshakes.
type SecureDelegate interface {
	// WillSecure is called before each TLS handshake.
	WillSecure(ctx context.Context, s *Stream)
	// DidSecure is called after each successful TLS handshake.
	DidSecure(ctx context.Context, s *Stream, state tls.ConnectionState)
}

// TrustDelegate decides about certificates. It is a question, not an event:
// the delegates are asked in the order of registration, with the ctx of Connect, which waits for them;
// the first answer wins, and the ordinary verification does not count any more.
type TrustDelegate interface {
	// DidReceiveTrust is asked after the handshake and before anything is sent over it.
	// chain is what the server presented, leaf first; verifyErr is what the ordinary verification against the
	// domain of the JID says, nil if the certificate is good. Returning nil trusts the server, [ErrNoOpinion] asks the next,
	// in the end the ordinary verification; any other error refuses the server.
	// A panic and a ctx that ends refuse as well.
	DidReceiveTrust(ctx context.Context, s *Stream, chain []*x509.Certificate, verifyErr error) error
}

// RegisterDelegate hears of in-band registration.
type RegisterDelegate interface {
	// DidRegister is called when [Stream.Register] has made an account. The stream is not logged in yet.
	DidRegister(ctx context.Context, s *Stream)
	// DidNotRegister is called when it failed, with the same error that it returns.
	DidNotRegister(ctx context.Context, s *Stream, err error)
}

// AuthDelegate hears of logins.
type AuthDelegate interface {
	// DidAuthenticate is called after authentication, binding and session are complete: the stream is ready for stanzas.
	DidAuthenticate(ctx context.Context, s *Stream)
	// DidNotAuthenticate is called when a login failed, with the same error that the Authenticate call returns.
	// After a refusal by the server the stream is still connected, and another login may be tried.
	DidNotAuthenticate(ctx context.Context, s *Stream, err error)
}

// SessionDelegate hears of sessions.
type SessionDelegate interface {
	// DidStartSession is called before the first stanza of each session.
	// A new session knows nothing of what an earlier one had: rooms, presence and the like have to be set up again.
	// A resumed one goes on where it was.
	DidStartSession(ctx context.Context, s *Stream, kind SessionKind)
}

// BindDelegate may replace resource binding. It is a question: the Authenticate call waits for the answer.
type BindDelegate interface {
	// WillBind is asked once a login, before binding, or with SASL2 before authentication. The first Binder returned is used; returning nil leaves it to the others,
	// in the end to the stream itself.
	WillBind(ctx context.Context, s *Stream) Binder
}

// ResourceDelegate answers for a resource that is taken. It is a question: the Authenticate call waits for the answer.
type ResourceDelegate interface {
	// AlternativeResource is asked when the server refused the resource with a conflict.
	// The first non-empty answer is tried; returning "" leaves it to the others, in the end to the server.
	AlternativeResource(ctx context.Context, s *Stream, conflicting string) string
}

// JIDDelegate hears of the own address.
type JIDDelegate interface {
	// DidChangeMyJID is called when [Stream.MyJID] has changed.
	DidChangeMyJID(ctx context.Context, s *Stream, jid JID)
}

// IQDelegate receives IQs.
type IQDelegate interface {
	// DidReceiveIQ is called for each result and error, whether or not a call is waiting for it; the return value is ignored then.
	// For a get or set that no handler owns ([Stream.HandleIQ]) the delegates are asked one after another:
	// returning true means that this one answers it, now or later; if all return false,
	// the stream answers service-unavailable.
	DidReceiveIQ(ctx context.Context, s *Stream, iq *stanza.IQ) bool
}

// MessageDelegate receives messages.
type MessageDelegate interface {
	// DidReceiveMessage is called for each message, errors included.
	DidReceiveMessage(ctx context.Context, s *Stream, m *stanza.Message)
}

// PresenceDelegate receives presence.
type PresenceDelegate interface {
	// DidReceivePresence is called for each presence, errors and subscription requests included.
	DidReceivePresence(ctx context.Context, s *Stream, p *stanza.Presence)
}

// SentDelegate hears of stanzas that were written to the connection. It does not mean that the server has them.
type SentDelegate interface {
	DidSendIQ(ctx context.Context, s *Stream, iq *stanza.IQ)
	DidSendMessage(ctx context.Context, s *Stream, m *stanza.Message)
	DidSendPresence(ctx context.Context, s *Stream, p *stanza.Presence)
}

// NotSentDelegate hears of stanzas that were not sent: Send failed, or the connection was lost before or while they were written.
type NotSentDelegate interface {
	DidFailToSendIQ(ctx context.Context, s *Stream, iq *stanza.IQ, err error)
	DidFailToSendMessage(ctx context.Context, s *Stream, m *stanza.Message, err error)
	DidFailToSendPresence(ctx context.Context, s *Stream, p *stanza.Presence, err error)
}

// FilterDelegate hears of received stanzas that an interceptor dropped.
type FilterDelegate interface {
	// DidFilterStanza is called with the stanza as it was before the interceptor that dropped it.
	DidFilterStanza(ctx context.Context, s *Stream, st stanza.Stanza)
}

// ElementDelegate receives top-level elements other than stanzas.
type ElementDelegate interface {
	// DidReceiveElement is called for elements registered with [Stream.RegisterElement] (registered is true)
	// and for those that nobody knows, which are otherwise ignored.
	DidReceiveElement(ctx context.Context, s *Stream, e *etree.Element, registered bool)
	// DidSendElement is called when a registered element was written.
	DidSendElement(ctx context.Context, s *Stream, e *etree.Element)
}

// ErrorDelegate hears of stream errors.
type ErrorDelegate interface {
	// DidReceiveError is called for a stream error from the server, before DidDisconnect, which gets the same error.
	DidReceiveError(ctx context.Context, s *Stream, err *StreamError)
}

// DisconnectDelegate hears of the application's own closing.
type DisconnectDelegate interface {
	// WasToldToDisconnect is called when the application called [Stream.Disconnect] or [Stream.Close].
	WasToldToDisconnect(ctx context.Context, s *Stream)
	// DidSendClosingStreamStanza is called when the closing tag was written.
	DidSendClosingStreamStanza(ctx context.Context, s *Stream)
}

// AbortDelegate tells why a connection attempt ended before the stream was up. DidDisconnect follows.
type AbortDelegate interface {
	// ConnectDidTimeout is called when Config.ConnectTimeout or the deadline of Connect's ctx has passed.
	ConnectDidTimeout(ctx context.Context, s *Stream)
	// WasToldToAbortConnect is called when Disconnect, Close or the end of Connect's ctx interrupted it.
	WasToldToAbortConnect(ctx context.Context, s *Stream)
}

// ModuleDelegate hears of modules.
type ModuleDelegate interface {
	// DidRegisterModule is called after a module was activated on the stream.
	DidRegisterModule(ctx context.Context, s *Stream, m Module)
	// WillUnregisterModule is called when a module is about to leave. It may have left when the callback runs.
	WillUnregisterModule(ctx context.Context, s *Stream, m Module)
}

// MessageFunc is a function as a [MessageDelegate].
type MessageFunc func(ctx context.Context, s *Stream, m *stanza.Message)

// DidReceiveMessage calls f.
func (f MessageFunc) DidReceiveMessage(ctx context.Context, s *Stream, m *stanza.Message) {
	f(ctx, s, m)
}

// PresenceFunc is a function as a [PresenceDelegate].
type PresenceFunc func(ctx context.Context, s *Stream, p *stanza.Presence)

// DidReceivePresence calls f.
func (f PresenceFunc) DidReceivePresence(ctx context.Context, s *Stream, p *stanza.Presence) {
	f(ctx, s, p)
}

// IQFunc is a function as an [IQDelegate].
type IQFunc func(ctx context.Context, s *Stream, iq *stanza.IQ) bool

// DidReceiveIQ calls f.
func (f IQFunc) DidReceiveIQ(ctx context.Context, s *Stream, iq *stanza.IQ) bool {
	return f(ctx, s, iq)
}

// DelegateOf makes a Delegate of every family that v implements, with a queue of its own.
// What the compiler cannot check here it checks when it is called: it panics if v implements no family, or has a method
// of a family and not the family itself, because another method is missing or a signature is wrong.
// A misspelt name it cannot know; xmpptest.CheckDelegate finds those in a test.
func DelegateOf(v any) Delegate {
	if v == nil {
		return Delegate{} // AddDelegate panics
	}
	d := Delegate{Name: fmt.Sprintf("%T", v)}
	val := reflect.ValueOf(v)
	found := false
	rv := reflect.ValueOf(&d).Elem()
	for i := range rv.NumField() {
		f := rv.Field(i)
		if f.Kind() != reflect.Interface {
			continue
		}
		if val.Type().Implements(f.Type()) {
			f.Set(val)
			found = true
			continue
		}
		checkFamily(val.Type(), f.Type())
	}
	if !found {
		also := ""
		if val.Kind() != reflect.Pointer && reflect.PointerTo(val.Type()).NumMethod() > val.NumMethod() {
			also = "; its pointer has more methods: pass that"
		}
		panic("xmpp: DelegateOf: " + d.Name + " implements no family" + also)
	}
	return d
}

// checkFamily panics if t has a method of the family; that t does not implement it is known.
func checkFamily(t, family reflect.Type) {
	has, lacks := "", ""
	for i := range family.NumMethod() {
		want := family.Method(i)
		m, ok := t.MethodByName(want.Name)
		switch {
		case !ok:
			lacks = want.Name
		case !sameSignature(m.Type, want.Type):
			panic(fmt.Sprintf("xmpp: DelegateOf: %s.%s has the type %s, %s wants %s", t, m.Name, m.Type, family, want.Type))
		default:
			has = want.Name
		}
	}
	if has != "" {
		panic(fmt.Sprintf("xmpp: DelegateOf: %s has %s and lacks %s of %s", t, has, lacks, family))
	}
}

// sameSignature compares the type of a method, whose first parameter is the receiver, with that of an interface's.
func sameSignature(method, want reflect.Type) bool {
	if method.NumIn() != want.NumIn()+1 || method.NumOut() != want.NumOut() {
		return false
	}
	for i := range want.NumIn() {
		if method.In(i+1) != want.In(i) {
			return false
		}
	}
	for i := range want.NumOut() {
		if method.Out(i) != want.Out(i) {
			return false
		}
	}
	return true
}

// named names a delegate that has no name after the type of what is set first.
func (d Delegate) named() Delegate {
	rv := reflect.ValueOf(d)
	for i := range rv.NumField() {
		if f := rv.Field(i); d.Name == "" && f.Kind() == reflect.Interface && !f.IsNil() {
			d.Name = f.Elem().Type().String()
		}
	}
	return d
}

// AddDelegate registers a delegate. Its callbacks come in the order of registration where they share a queue.
// It may be called at any time, also from callbacks; what has arrived before is not told again. Like http.Handle it panics at once for mistakes in the program:
// a family set to a typed nil, or no family at all.
//
// remove takes the delegate away: no callback of it starts any more, and it returns when a running one has ended or ctx has.
// Given the ctx of a callback on the same queue it does not wait.
func (s *Stream) AddDelegate(d Delegate) (remove func(ctx context.Context) error) {
	d = d.named()
	return s.delegates.Add(d.Name, d.Queue, d)
}

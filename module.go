package xmpp

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/go-xmppframework/xmpp/stanza"
)

// Module is a capability that can be attached to a stream. Make one by embedding [ModuleBase];
// the package modules/ping is the example to copy.
type Module interface {
	// Name is for logs.
	Name() string
	// Activate attaches the module to a stream; [ErrModuleActive] if it is attached to one.
	Activate(s *Stream) error
	// Deactivate detaches it, so that it can be activated again. It does nothing if the module is not active.
	Deactivate()
}

// Receiver is a [Module] that takes part in receiving.
type Receiver interface {
	// Receive is called for each stanza on the goroutine that reads, in the order of activation,
	// after the interceptors and before anything is posted to delegates. It updates the module's state under the module's own lock
	// and posts events with [Delegates.Notify], so that state is never older than the events about it.
	// It must not wait and must not call the application's code; its ctx is that of an interceptor.
	// An IQ has an id and a type, and a request exactly one payload: the stream refuses others before.
	Receive(ctx context.Context, st stanza.Stanza)
}

// SessionReceiver is a [Module] that sets its state back when a session begins.
type SessionReceiver interface {
	// ReceiveSession is called at the beginning of each session, before the first Receive of it and before DidStartSession
	// is posted. It updates the module's state under the module's own lock; like Receive it must not wait
	// and must not call the application's code. A module activated during a session is not told of that one.
	ReceiveSession(ctx context.Context, kind SessionKind)
}

// FeatureProvider is a [Module] that has features to announce by service discovery (XEP-0030).
type FeatureProvider interface {
	// Features are the namespaces to announce while the module is active.
	Features() []string
}

// CapabilityFinder is a [Module] that knows what others can do: modules/caps.
// Other modules find it with [ModuleOf] and decide by it, without importing it.
type CapabilityFinder interface {
	// Supports reports whether the client at a full address has announced a feature.
	// For a bare one it reports whether any of its available clients has. known is false if nothing was heard, or it is not verified yet.
	// It does not wait and asks nobody.
	Supports(of JID, feature string) (yes, known bool)
}

// SubscriptionFinder is a [Module] that knows who sees whose presence: modules/roster.
type SubscriptionFinder interface {
	// SharesPresence reports whether the account's presence goes to that contact: a subscription of "from" or "both",
	// or the account itself. known is false as long as there is no roster. It does not wait and asks nobody.
	SharesPresence(with JID) (yes, known bool)
}

// ContactFinder is a [Module] that knows who is a contact: modules/roster.
type ContactFinder interface {
	// IsContact reports whether the account sees the presence of somebody, they see its, or both: a subscription of "to", "from" or "both".
	// It is not asked of the account itself. known is false as long as there is no roster. It does not wait and asks nobody.
	IsContact(jid JID) (yes, known bool)
}

// BlockFinder is a [Module] that knows who is blocked: modules/blocking.
// What goes to those who are blocked the server refuses; a module sends them nothing of its own accord, and adds nothing to what the application sends.
type BlockFinder interface {
	// IsBlocked reports whether the account has blocked an address, by itself, its bare address or its domain.
	// known is false as long as the list was not fetched in this session: yes is then what was known last.
	// It is false for the zero JID. It does not wait and asks nobody.
	IsBlocked(jid JID) (yes, known bool)
}

// AvatarKeeper is a [Module] that notes the avatars of contacts: modules/roster.
type AvatarKeeper interface {
	// KeepAvatar notes the hash of a contact's avatar, lower-case hexadecimal SHA-1; empty if there is none any more.
	// It does not wait.
	KeepAvatar(of JID, hash string)
}

// PresenceClaimer is a [Module] to which the presence of some addresses belongs, such as that of the rooms it has joined.
// Other modules leave such presence alone: see [Stream.IsPresenceClaimed].
type PresenceClaimer interface {
	// ClaimsPresence reports whether presence from that address belongs to the module. It does not wait and asks nobody.
	ClaimsPresence(from JID) bool
}

// ModuleBase is what a module embeds: it remembers the stream and undoes what activation did. The zero value is inactive.
type ModuleBase struct {
	mu      sync.Mutex
	self    Module
	stream  *Stream
	cleanup []func()
}

// Attach makes the module active on s and runs setup, which registers handlers, delegates and interceptors,
// and hands what undoes that to [ModuleBase.OnDeactivate]. If setup fails, all of it is undone and the error returned.
// It returns [ErrModuleActive] if the module is active.
func (b *ModuleBase) Attach(s *Stream, self Module, setup func() error) error {
	b.mu.Lock()
	if b.stream != nil {
		b.mu.Unlock()
		return fmt.Errorf("%w: %s", ErrModuleActive, clip(self.Name()))
	}
	b.stream, b.self = s, self
	b.mu.Unlock()
	if setup != nil {
		if err := setup(); err != nil {
			b.detach()
			return err
		}
	}
	s.modules.add(self)
	for _, w := range s.watches.all() {
		w.activated(self)
	}
	for _, e := range s.delegates.all() {
		if d := e.v.Module; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidRegisterModule(ctx, s, self) })
		}
	}
	return nil
}

// OnDeactivate adds a function to run at deactivation; the last added runs first.
func (b *ModuleBase) OnDeactivate(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cleanup = append(b.cleanup, f)
}

// Stream is the stream that the module is active on, nil if none.
func (b *ModuleBase) Stream() *Stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stream
}

// Active is Stream with an error for a module that is not active.
func (b *ModuleBase) Active() (*Stream, error) {
	if s := b.Stream(); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: the module is not active", ErrInvalidState)
}

// Deactivate detaches the module.
func (b *ModuleBase) Deactivate() {
	b.mu.Lock()
	s, self := b.stream, b.self
	b.mu.Unlock()
	if s == nil || !s.modules.remove(self) {
		return
	}
	for _, w := range s.watches.all() {
		w.deactivated(self)
	}
	for _, e := range s.delegates.all() {
		if d := e.v.Module; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.WillUnregisterModule(ctx, s, self) })
		}
	}
	b.detach()
}

func (b *ModuleBase) detach() {
	b.mu.Lock()
	cleanup := b.cleanup
	b.cleanup = nil
	b.mu.Unlock()
	for _, f := range slices.Backward(cleanup) {
		f()
	}
	b.mu.Lock()
	b.stream = nil
	b.mu.Unlock()
}

// Modules are the active modules, in the order of activation.
func (s *Stream) Modules() iter.Seq[Module] { return slices.Values(s.modules.all()) }

// ModuleOf finds the first active module of a type, or one that has an interface:
//
//	p, ok := xmpp.ModuleOf[*ping.Ping](stream)
func ModuleOf[T any](s *Stream) (m T, ok bool) {
	for _, x := range s.modules.all() {
		if m, ok = x.(T); ok {
			return m, true
		}
	}
	return m, false
}

// IsPresenceClaimed reports whether presence from an address belongs to an active module that is a [PresenceClaimer].
func (s *Stream) IsPresenceClaimed(from JID) bool {
	for _, m := range s.modules.all() {
		if c, ok := m.(PresenceClaimer); ok && c.ClaimsPresence(from) {
			return true
		}
	}
	return false
}

// AutoDelegate calls attach for every module of type T that is active now or becomes so later, each with its own
// function to undo it, which runs when the module is deactivated or stop is called. attach may return nil.
// It is how an application listens to modules that others activate.
func AutoDelegate[T any](s *Stream, attach func(m T) (detach func())) (stop func()) {
	w := &moduleWatch{stream: s, attach: func(m Module) func() {
		if t, ok := m.(T); ok {
			return attach(t)
		}
		return nil
	}, attached: make(map[Module]*attachment)}
	s.watches.add(w)
	for _, m := range s.modules.all() {
		w.activated(m)
	}
	return func() {
		s.watches.remove(w)
		w.stop()
	}
}

// moduleWatch is one AutoDelegate. The application's functions run outside its lock.
type moduleWatch struct {
	stream   *Stream
	attach   func(Module) func()
	mu       sync.Mutex
	attached map[Module]*attachment // nil after stop
}

// attachment is guarded by the lock of its watch.
type attachment struct {
	detach func() // nil until attach has returned
	gone   bool   // detached, or to be detached as soon as attach has returned
}

func (w *moduleWatch) activated(m Module) {
	w.mu.Lock()
	if w.attached == nil || w.attached[m] != nil {
		w.mu.Unlock()
		return
	}
	a := new(attachment)
	w.attached[m] = a
	w.mu.Unlock()
	detach := w.attach(m)
	if detach == nil {
		detach = func() {}
	}
	w.mu.Lock()
	a.detach = detach
	gone := a.gone
	w.mu.Unlock()
	if gone {
		detach()
	} else if !slices.Contains(w.stream.modules.all(), m) { // deactivated before it was noted here
		w.deactivated(m)
	}
}

func (w *moduleWatch) deactivated(m Module) {
	w.mu.Lock()
	a := w.attached[m]
	delete(w.attached, m)
	w.mu.Unlock()
	w.end(a)
}

func (w *moduleWatch) stop() {
	w.mu.Lock()
	attached := w.attached
	w.attached = nil
	w.mu.Unlock()
	for _, a := range attached {
		w.end(a)
	}
}

func (w *moduleWatch) end(a *attachment) {
	if a == nil {
		return
	}
	w.mu.Lock()
	a.gone = true
	detach := a.detach
	w.mu.Unlock()
	if detach != nil {
		detach()
	}
}

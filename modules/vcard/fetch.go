package vcard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// storageTimeout bounds one call of a Storage.
const storageTimeout = 10 * time.Second

// flight is a question under way, for all calls that wait for its answer.
type flight struct {
	of     xmpp.JID
	cancel context.CancelFunc
	done   chan struct{}
	card   *Card // read-only; read after done, as err is
	err    error

	waiters int  // guarded by VCard.mu
	stale   bool // what comes is not to be stored; guarded by VCard.mu
}

// Fetch returns the vCard of an address: the stored one if it is not old (see Config.MaxAge), else it asks. The zero address is the own account.
// Give the bare address of a contact or a room, and the full one of an occupant of a room, who has a vCard of their own.
//
// It returns [ErrNoVCard] if there is none, and otherwise the errors of [xmpp.Stream.SendIQ]. The card belongs to the caller.
// Calls for one address that come while it is being asked share the question; it ends when the last of them gives up.
func (v *VCard) Fetch(ctx context.Context, of xmpp.JID) (*Card, error) {
	s, of, err := v.target(ctx, of)
	if err != nil {
		return nil, err
	}
	r, err := v.load(ctx, s, of)
	switch {
	case r == nil || v.isOld(ctx, s, of, r): // an error was told
		return v.query(ctx, s, of)
	case r.Card == nil:
		return nil, ErrNoVCard
	}
	return r.Card, err
}

// FetchFresh is Fetch without looking at what is stored. It shares a question that is under way, which may have been asked a moment before.
func (v *VCard) FetchFresh(ctx context.Context, of xmpp.JID) (*Card, error) {
	s, of, err := v.target(ctx, of)
	if err != nil {
		return nil, err
	}
	return v.query(ctx, s, of)
}

// Stored returns what is stored of an address, however old, and nil if there is nothing. It asks nobody, and works without a connection.
// The error is a [*StorageError].
func (v *VCard) Stored(ctx context.Context, of xmpp.JID) (*Record, error) {
	s, of, err := v.target(ctx, of)
	if err != nil {
		return nil, err
	}
	return v.load(ctx, s, of)
}

// PhotoHash returns the hash of the stored photo of an address, see [Media.Hash], empty if it has none.
// known is false if nothing is stored. It asks nobody and does not read the photo. The error is a [*StorageError].
func (v *VCard) PhotoHash(ctx context.Context, of xmpp.JID) (hash string, known bool, err error) {
	s, of, err := v.target(ctx, of)
	if err != nil {
		return "", false, err
	}
	account := s.MyJID().Bare()
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	hash, known, err = v.cfg.Storage.PhotoHash(ctx, account, of)
	return hash, known, v.storageError(s, "hash", of, err)
}

// Forget removes what is stored of an address. The error is a [*StorageError].
func (v *VCard) Forget(ctx context.Context, of xmpp.JID) error {
	s, of, err := v.target(ctx, of)
	if err != nil {
		return err
	}
	v.storing.Lock()
	defer v.storing.Unlock()
	return v.change(s, "remove", of, func(ctx context.Context, account xmpp.JID) error { return v.cfg.Storage.Remove(ctx, account, of) })
}

// ForgetAll removes all that is stored of this account. The error is a [*StorageError].
func (v *VCard) ForgetAll(ctx context.Context) error {
	s, _, err := v.target(ctx, xmpp.JID{})
	if err != nil {
		return err
	}
	v.storing.Lock()
	defer v.storing.Unlock()
	return v.change(s, "clear", xmpp.JID{}, v.cfg.Storage.Clear)
}

// target is whom to ask. It refuses callers that must not wait.
func (v *VCard) target(ctx context.Context, of xmpp.JID) (*xmpp.Stream, xmpp.JID, error) {
	s, err := v.Active()
	if err != nil {
		return nil, of, err
	}
	if err := s.Await(ctx, closed); errors.Is(err, xmpp.ErrInInterceptor) {
		return nil, of, err
	}
	if own := s.MyJID().Bare(); of.IsZero() || of.Bare() == own {
		of = own
	}
	return s, of.Clone(), nil
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (v *VCard) isOwn(s *xmpp.Stream, of xmpp.JID) bool { return of == s.MyJID().Bare() }

func (v *VCard) isOld(ctx context.Context, s *xmpp.Stream, of xmpp.JID, r *Record) bool {
	if d, ok := v.cfg.Storage.(FetchDecider); ok {
		return d.ShouldFetch(ctx, s.MyJID().Bare(), of, r)
	}
	most := v.cfg.MaxAge
	if r.Card == nil {
		most = v.cfg.MissingAge
	}
	age := time.Since(r.Fetched)
	return most >= 0 && (age > most || age < -time.Minute) // a clock that was set back
}

// query asks, or waits with those who have asked.
func (v *VCard) query(ctx context.Context, s *xmpp.Stream, of xmpp.JID) (*Card, error) {
	v.mu.Lock()
	f := v.flights[of]
	if f == nil {
		c, cancel := context.WithCancel(v.ctx)
		f = &flight{of: of, cancel: cancel, done: make(chan struct{})}
		v.flights[of] = f
		go v.fly(c, s, f)
	}
	f.waiters++
	v.mu.Unlock()
	err := s.Await(ctx, f.done)
	v.mu.Lock()
	if f.waiters--; f.waiters == 0 {
		v.landLocked(f)
	}
	v.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case f.err != nil:
		return nil, f.err
	}
	return f.card.Copy(), nil
}

// landLocked makes room for the next question. What a question brings that nobody waits for any more is not stored.
func (v *VCard) landLocked(f *flight) {
	f.cancel()
	f.stale = true
	if v.flights[f.of] == f {
		delete(v.flights, f.of)
	}
}

// fly asks, stores and tells.
func (v *VCard) fly(ctx context.Context, s *xmpp.Stream, f *flight) {
	f.card, f.err = v.ask(ctx, s, f.of)
	if f.err == nil || errors.Is(f.err, ErrNoVCard) {
		v.storing.Lock()
		v.mu.Lock()
		stale := f.stale
		v.mu.Unlock()
		if !stale {
			_ = v.saveLocked(s, f.of, f.card) // it tells of its errors
		}
		v.storing.Unlock()
	}
	notify(v, s, Delegate.fetch, func(ctx context.Context, d FetchDelegate) {
		if f.err != nil {
			d.VCardDidFailToFetch(ctx, v, f.of, f.err)
		} else {
			d.VCardDidReceive(ctx, v, f.of, f.card.Copy())
		}
	})
	v.mu.Lock()
	v.landLocked(f)
	v.mu.Unlock()
	close(f.done)
}

// ask sends the request (XEP-0054 sections 3.1 and 3.3).
func (v *VCard) ask(ctx context.Context, s *xmpp.Stream, of xmpp.JID) (*Card, error) {
	to, own := of, v.isOwn(s, of)
	if own {
		to = xmpp.JID{}
	}
	answer, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, to, stanza.New("vCard", NS)))
	if err != nil {
		return nil, noVCard(err)
	}
	e := answer.Child("vCard", NS)
	if e == nil {
		return nil, ErrNoVCard
	}
	c, err := decode(e, v.cfg.Limits, own)
	if err != nil {
		return nil, err
	}
	if c.IsEmpty() {
		return nil, ErrNoVCard
	}
	return c, nil
}

// noVCard adds ErrNoVCard to the errors that say so.
func noVCard(err error) error {
	if errors.Is(err, stanza.ItemNotFound) || errors.Is(err, stanza.ServiceUnavailable) {
		return fmt.Errorf("%w: %w", ErrNoVCard, err)
	}
	return err
}

// load reads a record. A storage that fails has none.
func (v *VCard) load(ctx context.Context, s *xmpp.Stream, of xmpp.JID) (*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	r, err := v.cfg.Storage.Load(ctx, s.MyJID().Bare(), of)
	if err != nil {
		return nil, v.storageError(s, "load", of, err)
	}
	return r, nil
}

// saveLocked stores a card, nil for none. storing is held.
func (v *VCard) saveLocked(s *xmpp.Stream, of xmpp.JID, c *Card) error {
	r := &Record{Card: c, PhotoHash: c.PhotoHash(), Fetched: time.Now().Round(0)}
	return v.change(s, "save", of, func(ctx context.Context, account xmpp.JID) error { return v.cfg.Storage.Save(ctx, account, of, r) })
}

// change lets the storage change something, whoever has stopped waiting for it. storing is held.
func (v *VCard) change(s *xmpp.Stream, op string, of xmpp.JID, f func(ctx context.Context, account xmpp.JID) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	return v.storageError(s, op, of, f(ctx, s.MyJID().Bare()))
}

// storageError tells of an error of the storage.
func (v *VCard) storageError(s *xmpp.Stream, op string, of xmpp.JID, err error) error {
	if err == nil {
		return nil
	}
	e := &StorageError{Op: op, Account: s.MyJID().Bare(), Of: of, Err: err}
	s.Logger().Warn("vcard: the storage fails", "op", op, "err", err)
	notify(v, s, Delegate.storage, func(ctx context.Context, d StorageDelegate) { d.VCardDidFailToStore(ctx, v, e) })
	return e
}

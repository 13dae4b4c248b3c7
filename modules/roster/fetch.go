package roster

import (
	"context"
	"errors"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// fetch is a request for the roster that is under way.
type fetch struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error // read after done
}

// Fetch asks the server for the roster, or waits for the answer if it was asked already; it returns when the roster is there.
// Only the changes are asked for, if the server has versions and the roster has one. There is no need for it where the roster is fetched by itself: see [Roster.Wait].
//
// The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] for a refusal; or [ErrBadRoster]; or what ended ctx: the request then goes on.
func (r *Roster) Fetch(ctx context.Context) error { return r.fetchNow(ctx, false) }

// FetchWhole is Fetch without a version: the server sends all of the roster.
func (r *Roster) FetchWhole(ctx context.Context) error { return r.fetchNow(ctx, true) }

func (r *Roster) fetchNow(ctx context.Context, whole bool) error {
	s, err := r.Active()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return r.wait(ctx, s, r.start(ctx, s, whole))
}

// Wait returns when the roster of this session is there: at once, if it is. Otherwise its error is that of Fetch,
// or [ErrNoRoster] where it was not asked for.
func (r *Roster) Wait(ctx context.Context) error {
	s, err := r.Active()
	if err != nil {
		return err
	}
	r.mu.RLock()
	has, f, failed := r.has, r.fetch, r.failed
	r.mu.RUnlock()
	switch {
	case has:
		return nil
	case f != nil:
		return r.wait(ctx, s, f)
	case failed != nil:
		return failed
	}
	if err := s.Await(xmpp.NoWait, nil); !errors.Is(err, context.Canceled) {
		return err // there is no session
	}
	return ErrNoRoster
}

func (r *Roster) wait(ctx context.Context, s *xmpp.Stream, f *fetch) error {
	err := s.Await(ctx, f.done)
	select {
	case <-f.done:
		return f.err
	default:
		return err
	}
}

// start asks for the roster, unless that is under way.
func (r *Roster) start(ctx context.Context, s *xmpp.Stream, whole bool) *fetch {
	query := stanza.New("query", NS)
	wctx, cancel := context.WithTimeoutCause(context.Background(), r.cfg.FetchTimeout, xmpp.ErrIQTimeout)
	r.mu.Lock()
	if f := r.fetch; f != nil {
		r.mu.Unlock()
		cancel()
		return f
	}
	f := &fetch{done: make(chan struct{}), cancel: cancel}
	r.fetch = f
	version := r.version
	if whole {
		version = ""
	}
	if s.HasFeature("ver", nsVersioning) { // RFC 6121 section 2.6.2
		query.A("ver", version)
	}
	notify(s, &r.delegates.population, func(ctx context.Context, d PopulationDelegate) { d.RosterDidBeginPopulating(ctx, r, version) })
	r.mu.Unlock()
	// The answer is taken over where it stands in the stream: ahead of the presence and the changes that follow it.
	wait, err := s.StartIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, query), func(_ context.Context, answer *stanza.IQ) error {
		if answer.IsError() {
			return nil // it is that of wait
		}
		return r.populate(s, f, answer)
	})
	if err != nil {
		r.endFetch(s, f, err)
		return f
	}
	go func() {
		_, err := wait(wctx)
		r.endFetch(s, f, err)
	}()
	return f
}

// populate makes the answer the roster, unless that was done.
func (r *Roster) populate(s *xmpp.Stream, f *fetch, iq *stanza.IQ) error {
	var query *etree.Element
	for e := range iq.Children() {
		if query != nil || !stanza.Is(e, "query", NS) {
			return ErrBadRoster
		}
		query = e
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetch != f {
		return nil
	}
	r.populateLocked(s, query)
	r.doneLocked(f, nil)
	return nil
}

func (r *Roster) doneLocked(f *fetch, err error) {
	r.fetch, f.err = nil, err
	close(f.done)
	f.cancel()
}

func (r *Roster) endFetch(s *xmpp.Stream, f *fetch, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endFetchLocked(s, f, err)
}

// endFetchLocked notes that a fetch has failed, unless it is over: then err may be nil. s is nil if nobody is to be told.
func (r *Roster) endFetchLocked(s *xmpp.Stream, f *fetch, err error) {
	if f == nil || r.fetch != f {
		return
	}
	r.failed = err
	r.doneLocked(f, err)
	notify(s, &r.delegates.population, func(ctx context.Context, d PopulationDelegate) { d.RosterDidNotPopulate(ctx, r, err) })
	r.settleRequestsLocked(s)
}

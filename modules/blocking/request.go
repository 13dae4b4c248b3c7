package blocking

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Retrieve fetches the list and waits for it: see [Blocking.All]. From then on the server tells of changes.
//
// The error is that of [xmpp.Stream.SendIQ], together with [xmpp.ErrUnsupported] if the server has no such list, or [ErrTooMany].
// The list that was there stays then.
func (b *Blocking) Retrieve(ctx context.Context) error {
	s, err := b.Active()
	if err != nil {
		return err
	}
	return b.retrieve(ctx, s)
}

func (b *Blocking) retrieve(ctx context.Context, s *xmpp.Stream) error {
	iq := stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("blocklist", NS))
	err := b.send(ctx, s, iq, func(answer *stanza.IQ) error {
		el := answer.Child("blocklist", NS)
		if el == nil {
			return fmt.Errorf("blocking: %w: the answer holds no list", xmpp.ErrUnsupported)
		}
		list, _ := items(el)
		list, err := b.replace(list)
		if err == nil {
			b.notify(s, func(ctx context.Context, d Delegate) {
				if d.List != nil {
					d.List.BlockingDidReceiveList(ctx, b, list)
				}
			})
		}
		return err
	})
	if err != nil && !canceled(ctx) {
		b.notifyIncomplete(s, err)
	}
	return err
}

// Block puts addresses on the list: bare ones, or full ones, or domains. See [Blocking.Contains] for whom they block.
// Those that are blocked already may be among them. When it returns nil, the server has done so, and the list here has them.
//
// The error is that of [xmpp.Stream.SendIQ], together with [xmpp.ErrUnsupported] if the server cannot block;
// [xmpp.ErrInvalidParameter] without addresses, or with a zero one: then nothing is sent, and no delegate is told.
//
// A contact that is blocked sees the account go offline. The server need not say the same of the contact: take it for offline.
// Somebody without a subscription, to whom presence was sent directly, need not hear of it: send unavailable presence before; afterwards the server refuses it.
func (b *Blocking) Block(ctx context.Context, jids ...xmpp.JID) error {
	el := stanza.New("block", NS)
	for _, j := range jids {
		el.C("item").A("jid", j.String()).Up()
	}
	return b.block(ctx, el, jids)
}

func (b *Blocking) block(ctx context.Context, el *stanza.Builder, jids []xmpp.JID) error {
	jids, err := checked(jids)
	if err != nil {
		return err
	}
	return b.change(ctx, el, func(s *xmpp.Stream) { b.didBlock(s, jids) }, func(ctx context.Context, d FailureDelegate, err error) {
		d.BlockingDidNotBlock(ctx, b, jids, err)
	})
}

// Unblock takes addresses off the list, exactly those: to unblock a domain does not unblock an address there that has an entry of its own.
// Those that are not blocked may be among them. Errors are those of [Blocking.Block]; to unblock everybody is [Blocking.UnblockAll].
func (b *Blocking) Unblock(ctx context.Context, jids ...xmpp.JID) error {
	jids, err := checked(jids)
	if err != nil {
		return err
	}
	el := stanza.New("unblock", NS)
	for _, j := range jids {
		el.C("item").A("jid", j.String()).Up()
	}
	return b.change(ctx, el, func(s *xmpp.Stream) { b.didUnblock(s, jids) }, func(ctx context.Context, d FailureDelegate, err error) {
		d.BlockingDidNotUnblock(ctx, b, jids, err)
	})
}

// UnblockAll empties the list. Errors are those of [Blocking.Block].
func (b *Blocking) UnblockAll(ctx context.Context) error {
	return b.change(ctx, stanza.New("unblock", NS), b.didUnblockAll, func(ctx context.Context, d FailureDelegate, err error) {
		d.BlockingDidNotUnblockAll(ctx, b, err)
	})
}

// checked copies addresses that can be sent. An <unblock/> without any would unblock everybody.
func checked(jids []xmpp.JID) ([]xmpp.JID, error) {
	if len(jids) == 0 || slices.ContainsFunc(jids, xmpp.JID.IsZero) {
		return nil, fmt.Errorf("%w: blocking: no address", xmpp.ErrInvalidParameter)
	}
	return slices.Clone(jids), nil
}

// change asks for a change and takes it over when the server agrees: done does that, with the lock held.
func (b *Blocking) change(ctx context.Context, el *stanza.Builder, done func(*xmpp.Stream), failed func(context.Context, FailureDelegate, error)) error {
	s, err := b.Active()
	if err != nil {
		return err
	}
	err = b.send(ctx, s, stanza.NewIQ(stanza.Set, xmpp.JID{}, el), func(*stanza.IQ) error {
		done(s)
		return nil
	})
	if err != nil && !canceled(ctx) {
		b.notify(s, func(ctx context.Context, d Delegate) {
			if d.Failure != nil {
				failed(ctx, d.Failure, err)
			}
		})
	}
	return err
}

// canceled reports whether nobody wants to know how a request has ended.
func canceled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// send sends a request. apply takes its result over, with the lock held and in stream order: a push that follows it must not come first.
func (b *Blocking) send(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ, apply func(*stanza.IQ) error) error {
	return s.SendIQThen(ctx, iq, func(_ context.Context, answer *stanza.IQ) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		active := b.Stream() == s
		if answer.IsResult() && active {
			return apply(answer)
		}
		if err := answer.Err(); errors.Is(err, stanza.ServiceUnavailable) || errors.Is(err, stanza.FeatureNotImplemented) {
			if active {
				b.state = StateUnsupported
			}
			return fmt.Errorf("blocking: %w: %w", xmpp.ErrUnsupported, err)
		}
		return nil
	})
}

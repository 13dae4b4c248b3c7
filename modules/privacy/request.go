package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// RetrieveNames fetches the names of the lists, and which of them is active and which the default: see [Privacy.ListNames].
// What is in them is fetched afterwards, unless Config.NoAutoRetrieveItems says otherwise; it does not wait for that.
//
// The error is that of [xmpp.Stream.SendIQ], together with [xmpp.ErrUnsupported] if the server has no privacy lists, or [ErrTooMany].
// What there was stays then.
func (p *Privacy) RetrieveNames(ctx context.Context) error {
	s, err := p.Active()
	if err != nil {
		return err
	}
	return p.retrieveNames(ctx, s)
}

func (p *Privacy) retrieveNames(ctx context.Context, s *xmpp.Stream) error {
	err := p.send(ctx, s, stanza.Get, stanza.New("query", NS), func(answer *stanza.IQ) error { return p.tookNames(s, answer) })
	if err != nil && !canceled(ctx) {
		p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
			if d.ListFailure != nil {
				d.ListFailure.PrivacyDidNotReceiveListNames(ctx, p, err)
			}
		})
	}
	return err
}

// tookNames is called with the lock held.
func (p *Privacy) tookNames(s *xmpp.Stream, answer *stanza.IQ) error {
	if answer.IsError() {
		return nil
	}
	query := answer.Child("query", NS)
	if query == nil {
		return fmt.Errorf("privacy: %w: the answer holds no lists", xmpp.ErrUnsupported)
	}
	lists, count := make(map[string]list), 0
	for e := range stanza.Children(query, "list", NS) {
		name := strings.Clone(stanza.AttrOr(e, "name", ""))
		if _, dup := lists[name]; dup || name == "" || len(name) > maxName {
			continue
		}
		if len(lists) >= maxLists {
			return ErrTooMany
		}
		lists[name] = p.lists[name]
		count += weight(lists[name].items)
	}
	p.lists, p.count, p.state = lists, count, StateReady
	p.active = strings.Clone(stanza.AttrOr(stanza.Child(query, "active", NS), "name", ""))
	p.byDef = strings.Clone(stanza.AttrOr(stanza.Child(query, "default", NS), "name", ""))
	names := p.names()
	p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.List != nil {
			d.List.PrivacyDidReceiveListNames(ctx, p, names)
		}
	})
	p.want(s, names...)
	return nil
}

// Retrieve fetches what is in a list. The slice is the caller's own; [Privacy.List] has the same from then on.
//
// The error is that of [xmpp.Stream.SendIQ]: [stanza.ItemNotFound] if there is no such list; together with [xmpp.ErrUnsupported]
// if the server has no privacy lists; or [ErrTooMany].
func (p *Privacy) Retrieve(ctx context.Context, name string) ([]Item, error) {
	s, err := p.Active()
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, errNoName
	}
	items, err := p.retrieve(ctx, s, name)
	return slices.Clone(items), err
}

var errNoName = fmt.Errorf("%w: privacy: a list must have a name", xmpp.ErrInvalidParameter)

func (p *Privacy) retrieve(ctx context.Context, s *xmpp.Stream, name string) (items []Item, err error) {
	err = p.send(ctx, s, stanza.Get, stanza.New("query", NS).C("list").A("name", name), func(answer *stanza.IQ) error {
		if answer.IsError() {
			if errors.Is(answer.Err(), stanza.ItemNotFound) {
				p.drop(name)
			}
			return nil
		}
		for e := range stanza.Children(answer.Child("query", NS), "list", NS) {
			if stanza.AttrOr(e, "name", "") != name {
				continue
			}
			items = read(e)
			if err := p.put(name, items); err != nil {
				return err
			}
			p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
				if d.List != nil {
					d.List.PrivacyDidReceiveList(ctx, p, name, items)
				}
			})
			return nil
		}
		return fmt.Errorf("privacy: %w: the answer holds another list", xmpp.ErrUnsupported)
	})
	if err != nil && !canceled(ctx) {
		p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
			if d.ListFailure != nil {
				d.ListFailure.PrivacyDidNotReceiveList(ctx, p, name, err)
			}
		})
	}
	if err != nil {
		return nil, err
	}
	return items, nil
}

// SetList makes a list, or replaces the one of that name, with all its items. Nothing else happens to a list that is neither active nor the default.
//
// The error is that of [xmpp.Stream.SendIQ], together with [xmpp.ErrUnsupported] if the server has no privacy lists; [xmpp.ErrInvalidParameter] without a name,
// for an item that is not valid, for two of the same order, or without items, because that is how a list is removed: see [Privacy.RemoveList].
// Then nothing is sent, and no delegate is told.
func (p *Privacy) SetList(ctx context.Context, name string, items ...Item) error {
	if name == "" {
		return errNoName
	}
	if len(items) == 0 {
		return fmt.Errorf("%w: privacy: a list without items", xmpp.ErrInvalidParameter)
	}
	if err := validate(items); err != nil {
		return err
	}
	return p.setList(ctx, name, slices.Clone(items))
}

// RemoveList removes a list. Servers refuse that, with [stanza.Conflict], while it is in use by another client; some do while it is the active or the default one
// of this client. A list that is not there is [stanza.ItemNotFound], or with Prosody bad-request. Other errors are those of [Privacy.SetList].
func (p *Privacy) RemoveList(ctx context.Context, name string) error {
	if name == "" {
		return errNoName
	}
	return p.setList(ctx, name, nil)
}

func (p *Privacy) setList(ctx context.Context, name string, items []Item) error {
	sortItems(items)
	el := stanza.New("query", NS).C("list").A("name", name)
	for _, i := range items {
		i.add(el)
	}
	return p.set(ctx, el, func(s *xmpp.Stream) {
		if items == nil {
			p.drop(name)
		} else if p.put(name, items) != nil {
			p.forget(name)
		}
		p.notifySet(s, func(ctx context.Context, d SetDelegate) { d.PrivacyDidSetList(ctx, p, name, items) })
	}, func(ctx context.Context, d SetFailureDelegate, err error) { d.PrivacyDidNotSetList(ctx, p, name, err) })
}

// SetActiveList makes a list the active one of this session; an empty name means none.
// The error is that of [xmpp.Stream.SendIQ]: [stanza.ItemNotFound] if there is no such list; together with [xmpp.ErrUnsupported]
// if the server has no privacy lists.
func (p *Privacy) SetActiveList(ctx context.Context, name string) error {
	return p.set(ctx, choice("active", name), func(s *xmpp.Stream) {
		p.active = name
		p.notifySet(s, func(ctx context.Context, d SetDelegate) { d.PrivacyDidSetActiveList(ctx, p, name) })
	}, func(ctx context.Context, d SetFailureDelegate, err error) {
		d.PrivacyDidNotSetActiveList(ctx, p, name, err)
	})
}

// SetDefaultList makes a list the default of the account; an empty name means none. Servers may refuse that, with [stanza.Conflict],
// while another client of the account is there to which the default applies. Other errors are those of [Privacy.SetActiveList].
func (p *Privacy) SetDefaultList(ctx context.Context, name string) error {
	return p.set(ctx, choice("default", name), func(s *xmpp.Stream) {
		p.byDef = name
		p.notifySet(s, func(ctx context.Context, d SetDelegate) { d.PrivacyDidSetDefaultList(ctx, p, name) })
	}, func(ctx context.Context, d SetFailureDelegate, err error) {
		d.PrivacyDidNotSetDefaultList(ctx, p, name, err)
	})
}

func choice(element, name string) *stanza.Builder {
	el := stanza.New("query", NS).C(element)
	if name != "" {
		el.A("name", name)
	}
	return el
}

// set asks for a change and takes it over when the server agrees: done does that, with the lock held.
func (p *Privacy) set(ctx context.Context, el *stanza.Builder, done func(*xmpp.Stream), failed func(context.Context, SetFailureDelegate, error)) error {
	s, err := p.Active()
	if err != nil {
		return err
	}
	err = p.send(ctx, s, stanza.Set, el, func(answer *stanza.IQ) error {
		if answer.IsResult() {
			done(s)
		}
		return nil
	})
	if err != nil && !canceled(ctx) {
		p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
			if d.SetFailure != nil {
				failed(ctx, d.SetFailure, err)
			}
		})
	}
	return err
}

func (p *Privacy) notifySet(s *xmpp.Stream, call func(context.Context, SetDelegate)) {
	p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.Set != nil {
			call(ctx, d.Set)
		}
	})
}

// canceled reports whether nobody wants to know how a request has ended.
func canceled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// send sends a request. apply takes the answer over, a result or an error, with the lock held and in stream order: what follows it must not come first.
func (p *Privacy) send(ctx context.Context, s *xmpp.Stream, typ stanza.IQType, el *stanza.Builder, apply func(*stanza.IQ) error) error {
	return s.SendIQThen(ctx, stanza.NewIQ(typ, xmpp.JID{}, el), func(_ context.Context, answer *stanza.IQ) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		active := p.Stream() == s
		if err := answer.Err(); errors.Is(err, stanza.ServiceUnavailable) || errors.Is(err, stanza.FeatureNotImplemented) {
			if active {
				p.state = StateUnsupported
			}
			return fmt.Errorf("privacy: %w: %w", xmpp.ErrUnsupported, err)
		}
		if !active {
			return nil
		}
		return apply(answer)
	})
}

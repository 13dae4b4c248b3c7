package privacy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// job fetches by itself, one thing after another, on a goroutine that lives while there is something to fetch.
type job struct {
	cancel context.CancelFunc
	names  bool            // the names of the lists
	lists  map[string]bool // what is in these
}

// begin fetches everything that is to be fetched at the beginning of a session. The lock is held, as for all below.
func (p *Privacy) begin(s *xmpp.Stream) {
	if p.on && !p.cfg.NoAutoRetrieveNames && p.state != StateReady {
		p.work(s).names = true
	}
}

// want fetches lists.
func (p *Privacy) want(s *xmpp.Stream, names ...string) {
	if !p.on || p.cfg.NoAutoRetrieveItems || len(names) == 0 {
		return
	}
	j := p.work(s)
	for _, name := range names {
		j.lists[name] = true // as many as there are lists, at most
	}
}

// work returns the job that is under way, or a new one, which looks for its work when the lock is free.
func (p *Privacy) work(s *xmpp.Stream) *job {
	if p.job != nil {
		return p.job
	}
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{cancel: cancel, lists: make(map[string]bool)}
	p.job = j
	go p.run(ctx, s, j)
	return j
}

func (p *Privacy) run(ctx context.Context, s *xmpp.Stream, j *job) {
	defer j.cancel()
	for {
		p.mu.Lock()
		if p.job != j {
			p.mu.Unlock()
			return
		}
		names, next := j.names, slices.Sorted(maps.Keys(j.lists))
		if !names && len(next) == 0 {
			p.job = nil
			p.mu.Unlock()
			return
		}
		j.names = false
		if !names {
			delete(j.lists, next[0])
		}
		p.mu.Unlock()
		var err error // delegates are told
		if names {
			err = p.retrieveNames(ctx, s)
		} else {
			_, err = p.retrieve(ctx, s, next[0])
		}
		if gone := (*xmpp.DisconnectedError)(nil); errors.As(err, &gone) || errors.Is(err, xmpp.ErrClosed) || errors.Is(err, xmpp.ErrUnsupported) {
			p.mu.Lock()
			p.halt(j)
			p.mu.Unlock()
		}
	}
}

// halt ends a job, if it is the one under way.
func (p *Privacy) halt(j *job) {
	if j != nil && p.job == j {
		j.cancel()
		p.job = nil
	}
}

// stop is Deactivate's part.
func (p *Privacy) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on, p.state = false, StateUnknown
	p.halt(p.job)
}

// ReceiveSession fetches the lists of a new session. A resumed one goes on with what there is.
func (p *Privacy) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	s := p.Stream()
	if s == nil {
		return
	}
	account := s.MyJID().Bare()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session++
	if kind == xmpp.SessionNew {
		p.halt(p.job)
		if p.cfg.ClearOnDisconnect || account != p.account {
			p.clear()
		}
		p.account, p.state, p.active = account.Clone(), StateUnknown, ""
	}
	p.begin(s)
}

// listener clears everything where that is wanted.
type listener struct{ p *Privacy }

func (listener) WillConnect(context.Context, *xmpp.Stream) {}
func (listener) DidConnect(context.Context, *xmpp.Stream)  {}

func (l listener) DidDisconnect(_ context.Context, s *xmpp.Stream, _ error) {
	p := l.p
	p.mu.Lock()
	session := p.session
	p.mu.Unlock()
	if !p.cfg.ClearOnDisconnect || s.IsAuthenticated() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == session { // else the next one has begun meanwhile
		p.clear()
	}
}

// Receive hears which lists were changed.
func (p *Privacy) Receive(_ context.Context, st stanza.Stanza) {
	iq, ok := st.(*stanza.IQ)
	s := p.Stream()
	if !ok || !iq.IsSet() || s == nil {
		return
	}
	if name, refuse := pushed(s, iq); name != "" && refuse == "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed(s, strings.Clone(name))
	}
}

// changed is about a list that the server says is another one now.
func (p *Privacy) changed(s *xmpp.Stream, name string) {
	if _, known := p.lists[name]; !known && p.put(name, nil) != nil {
		return // no room for it
	}
	if p.cfg.NoAutoRetrieveItems {
		p.forget(name)
	}
	p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.List != nil {
			d.List.PrivacyDidReceivePush(ctx, p, name)
		}
	})
}

// pushed reads a push: the name of the list, or how it is to be refused. One is valid from the own account only,
// in whose name nobody else can send: XEP-0016 section 2.2, point 10, with the rule of RFC 6121 section 2.1.6.
func pushed(s *xmpp.Stream, iq *stanza.IQ) (name string, refuse stanza.Condition) {
	query := iq.Payload()
	if !stanza.Is(query, "query", NS) {
		return "", ""
	}
	if from := iq.From(); !from.IsZero() && from != s.MyJID().Bare() {
		return "", stanza.ServiceUnavailable
	}
	n := 0
	for e := range stanza.Children(query, stanza.Any, stanza.Any) {
		if n++; stanza.Is(e, "list", NS) {
			name = stanza.AttrOr(e, "name", "")
		}
	}
	if n != 1 || name == "" {
		return "", stanza.BadRequest
	}
	return name, ""
}

// answer answers pushes, and then fetches what was changed. Receive has noted those that are valid.
func (p *Privacy) answer(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	name, refuse := pushed(s, iq)
	if refuse != "" {
		_ = s.Send(ctx, iq.Error(refuse))
		return
	}
	_ = s.Send(ctx, iq.Result(nil))
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.lists[name]; known {
		p.want(s, strings.Clone(name))
	}
}

package disco

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

const (
	// findTimeout is how long an item may take to answer Find.
	findTimeout = 10 * time.Second
	// findAtOnce is how many items are asked at the same time.
	findAtOnce = 4
	// findAgain is how long an item that has failed is left alone.
	findAgain = time.Minute
)

var errOver = fmt.Errorf("%w: the session is over, or the module was deactivated", xmpp.ErrInvalidState)

// place is who is asked.
type place struct {
	jid  xmpp.JID
	node string
}

// question is one that is asked once, for all who want to know. Its results are read after done.
type question[T any] struct {
	done   chan struct{}
	result T
	err    error
	failed time.Time // when a part of it has; zero if none has
}

func (q *question[T]) isDone() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// session is what is known in a session, and who finds it out. Its maps are guarded by the lock of the module.
type session struct {
	d      *Disco
	ctx    context.Context // ends with the session, or the activation
	cancel context.CancelCauseFunc
	infos  map[place]*question[*Info] // bounded: the server, the account, and what Find asks
	walk   *question[[]Service]
}

// begin starts with nothing known.
func (d *Disco) begin() {
	d.end()
	ses := &session{d: d, infos: make(map[place]*question[*Info])}
	ses.ctx, ses.cancel = context.WithCancelCause(context.Background())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session = ses
}

func (d *Disco) end() {
	d.mu.Lock()
	ses := d.session
	d.session = nil
	d.mu.Unlock()
	if ses != nil {
		ses.cancel(errOver)
	}
}

// fetch asks the server and the account, unless Config says not to.
func (d *Disco) fetch(s *xmpp.Stream) {
	d.mu.Lock()
	ses := d.session
	d.mu.Unlock()
	if ses == nil || d.cfg.NoAutoFetch {
		return
	}
	ses.ask(s, place{jid: s.MyJID().DomainJID()})
	ses.ask(s, place{jid: s.MyJID().Bare()})
}

// active are the stream and the session.
func (d *Disco) active() (*xmpp.Stream, *session, error) {
	s, err := d.Active()
	if err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return nil, nil, fmt.Errorf("%w: the module is not active", xmpp.ErrInvalidState)
	}
	return s, d.session, nil
}

// ServerInfo is what the own server is and can do. It asks at most once a session, and waits for the answer if it is under way.
// The error is that of [Disco.Info], or of ctx; after one the next call asks again.
func (d *Disco) ServerInfo(ctx context.Context) (*Info, error) {
	return d.kept(ctx, func(s *xmpp.Stream) xmpp.JID { return s.MyJID().DomainJID() })
}

// AccountInfo is what the server is and can do for the own account: PEP, for example. See [Disco.ServerInfo].
func (d *Disco) AccountInfo(ctx context.Context) (*Info, error) {
	return d.kept(ctx, func(s *xmpp.Stream) xmpp.JID { return s.MyJID().Bare() })
}

func (d *Disco) kept(ctx context.Context, of func(*xmpp.Stream) xmpp.JID) (*Info, error) {
	s, ses, err := d.active()
	if err != nil {
		return nil, err
	}
	q := ses.ask(s, place{jid: of(s)})
	if !q.isDone() {
		if err := s.Await(ctx, q.done); err != nil {
			return nil, err
		}
	}
	return q.result, q.err
}

// Known is what this session knows of an entity already: the own server, the own account, and the services that Find has asked.
// It does not wait and asks nobody.
func (d *Disco) Known(of xmpp.JID) (info *Info, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return nil, false
	}
	q := d.session.infos[place{jid: of}]
	if q == nil || !q.isDone() || q.err != nil {
		return nil, false
	}
	return q.result, true
}

// ServerCache is a module that knows what the server would answer, by the hash in its stream features: modules/caps.
// ServerInfo makes use of it before it asks.
type ServerCache interface {
	// LoadServerInfo returns what the server would answer, nil if that is not known.
	LoadServerInfo(ctx context.Context) *Info
	// KeepServerInfo is told what the server has answered.
	KeepServerInfo(ctx context.Context, info *Info)
}

// ask returns a question that is under way, or answered; one that has failed is asked again.
func (ses *session) ask(s *xmpp.Stream, p place) *question[*Info] {
	ses.d.mu.Lock()
	defer ses.d.mu.Unlock()
	if q := ses.infos[p]; q != nil && (!q.isDone() || q.err == nil) {
		return q
	}
	q := &question[*Info]{done: make(chan struct{})}
	ses.infos[p] = q
	go ses.run(s, p, q)
	return q
}

func (ses *session) run(s *xmpp.Stream, p place, q *question[*Info]) {
	d, me := ses.d, s.MyJID()
	ctx := ses.ctx
	isServer, isAccount := p == place{jid: me.DomainJID()}, p == place{jid: me.Bare()}
	if !isServer && !isAccount {
		c, cancel := context.WithTimeout(ctx, findTimeout)
		defer cancel()
		ctx = c
	}
	cache, cached := xmpp.ModuleOf[ServerCache](s)
	if cached = cached && isServer; cached {
		q.result = cache.LoadServerInfo(ctx)
	}
	if q.result == nil {
		q.result, q.err = d.Info(ctx, p.jid, p.node)
		if cached && q.err == nil {
			cache.KeepServerInfo(ctx, q.result)
		}
	}
	d.mu.Lock()
	close(q.done)
	over := d.session != ses
	d.mu.Unlock()
	switch {
	case over || !isServer && !isAccount:
	case q.err != nil:
		s.Logger().Debug("disco: no answer", "of", p.jid, "err", q.err)
		d.notifyServer(s, func(ctx context.Context, del ServerDelegate) { del.DiscoDidNotDiscover(ctx, d, p.jid, q.err) })
	case isServer:
		d.notifyServer(s, func(ctx context.Context, del ServerDelegate) { del.DiscoDidDiscoverServer(ctx, d, q.result) })
	default:
		d.notifyServer(s, func(ctx context.Context, del ServerDelegate) { del.DiscoDidDiscoverAccount(ctx, d, q.result) })
	}
}

// Service is an item of the server, or the server itself, that was asked what it is.
type Service struct {
	Item
	Info *Info
}

// Match says what Find looks for. [Rooms], [Uploads], [Proxies] and [PubSub] are some; [Feature] and [IsA] make others.
type Match func(*Info) bool

// Rooms matches services for group chats (XEP-0045).
func Rooms(i *Info) bool {
	return i.Has("http://jabber.org/protocol/muc") && IsA("conference", "text")(i)
}

// Uploads matches services for files (XEP-0363).
func Uploads(i *Info) bool { return i.Has("urn:xmpp:http:upload:0") }

// Proxies matches proxies for streams of bytes (XEP-0065).
func Proxies(i *Info) bool { return IsA("proxy", "bytestreams")(i) }

// PubSub matches services to publish at (XEP-0060). Publishing at accounts is another matter: see [Disco.AccountInfo].
func PubSub(i *Info) bool { return IsA("pubsub", "service")(i) }

// Feature matches what has a feature.
func Feature(feature string) Match { return func(i *Info) bool { return i.Has(feature) } }

// IsA matches what has an identity; see [Info.Identity].
func IsA(category, typ string) Match {
	return func(i *Info) bool { _, ok := i.Identity(category, typ); return ok }
}

// Find looks for services among the own server and its items, of which it asks the first Config.FindLimit, a few at a time.
// An item that fails, or does not answer within ten seconds, is left out, and left alone for a minute. What is known is kept for the session:
// the next call does not ask again. The services are in the order of the items, the server first.
//
// The error is that of the question for the items, as with [Disco.Items], or of ctx. No service is no error.
func (d *Disco) Find(ctx context.Context, match Match) ([]Service, error) {
	s, ses, err := d.active()
	if err != nil {
		return nil, err
	}
	w := ses.explore(s)
	if !w.isDone() {
		if err := s.Await(ctx, w.done); err != nil {
			return nil, err
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	var out []Service
	for _, service := range w.result {
		if match(service.Info) {
			out = append(out, service)
		}
	}
	return out, nil
}

// explore returns a walk over the services that is under way, or done.
func (ses *session) explore(s *xmpp.Stream) *question[[]Service] {
	ses.d.mu.Lock()
	defer ses.d.mu.Unlock()
	if w := ses.walk; w != nil && (!w.isDone() || w.err == nil && (w.failed.IsZero() || time.Since(w.failed) < findAgain)) {
		return w
	}
	w := &question[[]Service]{done: make(chan struct{})}
	ses.walk = w
	go func() {
		defer close(w.done)
		w.result, w.failed, w.err = ses.look(s)
	}()
	return w
}

// look asks the server's items, and what they are. failed is when, if one of them has.
func (ses *session) look(s *xmpp.Stream) (list []Service, failed time.Time, err error) {
	server := s.MyJID().DomainJID()
	items, err := ses.d.Items(ses.ctx, server, "")
	if err != nil {
		return nil, failed, err
	}
	items = slices.DeleteFunc(items, func(it Item) bool { return it.JID == server && it.Node == "" })
	items = append([]Item{{JID: server}}, items[:min(len(items), ses.d.cfg.FindLimit)]...)
	asked := make([]*question[*Info], len(items))
	var wg sync.WaitGroup
	room := make(chan struct{}, findAtOnce)
	for i, it := range items {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			asked[i] = ses.ask(s, place{it.JID, it.Node})
			<-asked[i].done // it ends with the session
		})
	}
	wg.Wait()
	for i, q := range asked {
		switch lost := (*xmpp.DisconnectedError)(nil); {
		case q.err == nil:
			list = append(list, Service{Item: items[i], Info: q.result})
		case errors.As(q.err, &lost), errors.Is(q.err, xmpp.ErrClosed), ses.ctx.Err() != nil: // nothing is known of the item
			return nil, failed, q.err
		default:
			failed = time.Now()
		}
	}
	return list, failed, nil
}

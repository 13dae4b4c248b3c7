package bookmarks

import (
	"context"
	"iter"
	"maps"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Receive hears of changes to the own list.
func (b *Bookmarks) Receive(_ context.Context, st stanza.Stanza) {
	m, ok := st.(*stanza.Message)
	s := b.Stream()
	if !ok || s == nil || m.Child("event", pubsub.NSEvent) == nil {
		return
	}
	own := s.MyJID().Bare()
	for _, e := range pubsub.EventsIn(m, own) {
		// Others have nodes of that name as well, and a server passes on whatever they send: only the own account's server may tell (XEP-0223 section 6).
		if e.Service == own && (e.Node == NS || e.Node == NSOld) {
			b.event(s, e)
		}
	}
}

func (b *Bookmarks) event(s *xmpp.Stream, e pubsub.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil || b.method == MethodNative && e.Node != NS || b.method == MethodPEP && e.Node != NSOld {
		return
	}
	b.events++
	if e.Node == NSOld && b.method != MethodPEP {
		b.told = nil
		if list, ok, _ := listIn(e); ok {
			b.told = &told{Storage: list}
		}
	}
	switch {
	case !b.has:
		if b.failed != nil {
			b.fetchLocked(s)
		}
	case b.method == MethodNative:
		b.nativeEvent(s, e)
	case b.method == MethodPEP:
		b.storageEvent(s, e)
	default: // it is not all of the list, or the server has made it of what counts
		b.fetchLocked(s)
	}
}

// nativeEvent is XEP-0402 section 4.
func (b *Bookmarks) nativeEvent(s *xmpp.Stream, e pubsub.Event) {
	if e.Kind != pubsub.ItemsEvent { // all of them are gone
		b.write.pushedAll()
		b.applyLocked(s, content{urls: b.urls}, false)
		return
	}
	for _, i := range e.Items {
		jid, ok := parseRoom(i.ID)
		if !ok || jid.Resource() != "" {
			continue
		}
		b.write.pushed(jid)
		if i.Payload == nil {
			b.fetchLocked(s)
			continue
		}
		if bookmark, ok := parseNative(i.ID, i.Payload); ok {
			b.putLocked(s, held{bookmark, i.ID}, false)
		}
	}
	for _, id := range e.Retracted {
		if jid, ok := parseRoom(id); ok && jid.Resource() == "" {
			b.write.pushed(jid)
			b.removeLocked(s, jid)
		}
	}
}

// storageEvent is a new list of XEP-0048.
func (b *Bookmarks) storageEvent(s *xmpp.Stream, e pubsub.Event) {
	list, ok, err := listIn(e)
	switch {
	case err != nil:
	case !ok:
		b.fetchLocked(s)
	default:
		b.write.pushedList(list)
		b.applyLocked(s, contentOf(list), false)
	}
}

// listIn is the list of XEP-0048 that an event tells: the empty one if it is gone. ok is false if the event does not say what the list is, err that it is none.
func listIn(e pubsub.Event) (list Storage, ok bool, err error) {
	if e.Kind != pubsub.ItemsEvent || len(e.Items) == 0 {
		return list, true, nil
	}
	el, err := storageIn(e.Items)
	list, ok = ParseStorage(el)
	return list, ok, err
}

// told is what the server says that the list at the node of XEP-0048 is now, which private storage may say only later (XEP-0411): ejabberd tells first and stores then.
type told struct {
	Storage
	again   int // how often private storage was asked again
	waiting bool
}

// How often, and after which time at first, private storage is asked again for what was told; it may have nothing to do with the node.
const (
	maxAgain   = 4
	firstAgain = 250 * time.Millisecond
)

// againLocked asks for the list again after a while, if what was stored is not what was told.
func (b *Bookmarks) againLocked(s *xmpp.Stream, stored Storage) {
	t, ctx := b.told, b.ctx
	switch {
	case t == nil || t.waiting:
		return
	case t.again == maxAgain || stored.equal(t.Storage):
		b.told = nil
		return
	}
	t.waiting = true
	pause := time.NewTimer(firstAgain << t.again)
	t.again++
	go func() {
		defer pause.Stop()
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if t.waiting = false; b.told == t && ctx.Err() == nil {
			b.fetchLocked(s)
		}
	}()
}

func keys[V any](m map[xmpp.JID]V) iter.Seq[xmpp.JID] { return maps.Keys(m) }

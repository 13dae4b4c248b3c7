package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/sid"
)

// score keeps the account. It listens to the sender's modules, and to the receiver for messages.
type score struct {
	thread string          // of the messages of this run
	stats  func() sm.Stats // of the sender
	filter *sid.Filter     // knows a message that was sent again by its origin-id
	queue  *xmpp.Queue     // of what it hears from the sender
	begin  time.Time

	mu      sync.Mutex
	ends    map[xmpp.ReceiptState]int
	sent    int
	acked   int
	got     map[int]bool // numbers
	highest int          // of them; -1 at first
	dropped int          // duplicates
	twice   int          // that came through the filter
	cuts    int          // sessions that lost their connection
	failed  int          // logins
	points  []point
	marks   []mark
}

// point is what was counted up to a time.
type point struct {
	at                    time.Duration
	sent, acked, received int
}

// mark is a change of the connection: it was cut, or it is back.
type mark struct {
	at   time.Duration
	back bool
}

func newScore(messages int) *score {
	return &score{
		thread: stanza.NewID(), filter: sid.NewFilter(messages), queue: xmpp.NewQueue(), begin: time.Now(),
		ends: make(map[xmpp.ReceiptState]int), got: make(map[int]bool), highest: -1,
	}
}

func (s *score) listen(sender, receiver *client) {
	s.stats = sender.sm.Stats
	sender.sm.AddDelegate(sm.Delegate{Ack: s}, s.queue)
	sender.reconnect.AddDelegate(reconnect.Delegate{
		Outage: reconnect.OutageFuncs{
			DidDetectAccidentalDisconnect: func(context.Context, *reconnect.Reconnect, error) {
				s.count(func() {
					s.cuts++
					s.marks = append(s.marks, mark{at: time.Since(s.begin)})
				})
			},
			DidReconnect: func(context.Context, *reconnect.Reconnect, xmpp.SessionKind) {
				s.count(func() { s.marks = append(s.marks, mark{at: time.Since(s.begin), back: true}) })
			},
		},
		Attempt: reconnect.AttemptFuncs{DidFail: func(context.Context, *reconnect.Reconnect, int, error) {
			s.count(func() { s.failed++ }) // cut as well
		}},
	}, s.queue)
	receiver.AddDelegate(xmpp.Delegate{Name: "score", Message: s})
}

// count changes what others read.
func (s *score) count(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *score) didSend() { s.count(func() { s.sent++ }) }

func (s *score) settled(state xmpp.ReceiptState) { s.count(func() { s.ends[state]++ }) }

// StreamManagementDidReceiveAck is called with what the server has taken over.
func (s *score) StreamManagementDidReceiveAck(_ context.Context, _ *sm.SM, acked []xmpp.Unacked) {
	s.count(func() {
		for _, u := range acked {
			if m, ok := u.Stanza.(*stanza.Message); ok && m.Thread() == s.thread {
				s.acked++
			}
		}
	})
}

// DidReceiveMessage is called with what has arrived.
func (s *score) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	n := 0
	if _, err := fmt.Sscanf(m.Body(), "Message %d", &n); err != nil || m.IsError() || m.Thread() != s.thread {
		return // not one of this run
	}
	again := s.filter.Seen(m, xmpp.JID{})
	s.count(func() {
		switch {
		case again:
			s.dropped++
		case s.got[n]:
			s.twice++
		default:
			s.got[n] = true
			s.highest = max(s.highest, n)
		}
	})
}

// behind reports whether messages, or what is told of them, are still on their way.
func (s *score) behind(messages int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got) < messages || s.acked < s.ends[xmpp.ReceiptAcked]
}

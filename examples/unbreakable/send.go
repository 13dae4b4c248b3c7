package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// patience is how long after the server has acknowledged everything the last of it may arrive: then it counts as lost.
const patience = 30 * time.Second

// send sends the messages, each when it is due, whatever the connection does meanwhile. half is called when half of them are sent.
func (s *score) send(ctx context.Context, c *client, to xmpp.JID, o options, half func()) ([]*xmpp.Receipt, error) {
	begin := time.Now()
	receipts := make([]*xmpp.Receipt, 0, o.messages)
	for n := range o.messages {
		if n == o.messages/2 {
			half()
		}
		due := begin.Add(time.Duration(float64(n) / o.rate * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return receipts, context.Cause(ctx)
		}
		r, err := c.SendReceipt(ctx, s.message(to, n))
		if err != nil {
			return receipts, fmt.Errorf("message %d: %w", n, err)
		}
		receipts = append(receipts, r)
		s.didSend()
	}
	return receipts, nil
}

// message makes one that the receiver knows by its thread. It is not to be kept in archives.
func (s *score) message(to xmpp.JID, n int) *stanza.Message {
	m := stanza.NewMessage(stanza.Chat, to, fmt.Sprintf("Message %d", n))
	m.SetThread(s.thread)
	m.Add(stanza.New("no-permanent-store", "urn:xmpp:hints"))
	return m
}

// await waits until every receipt has ended, and everything has arrived.
func (s *score) await(ctx context.Context, receipts []*xmpp.Receipt) error {
	for _, r := range receipts {
		state, err := r.Wait(ctx)
		if err != nil {
			return err
		}
		s.settled(state)
	}
	// The server has all of it now. What is on its way to the receiver, or told of by a callback, takes a moment.
	for end := time.Now().Add(patience); s.behind(len(receipts)) && time.Now().Before(end); {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.queue.Flush(ctx) // what is counted in callbacks may be behind
}

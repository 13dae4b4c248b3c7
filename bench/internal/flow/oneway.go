package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/child"
	"github.com/go-xmppframework/xmpp/bench/internal/clients"
	"github.com/go-xmppframework/xmpp/bench/internal/lean"
)

// Sink sends n messages from each client into the lean server, which only counts them.
func (b *Bench) Sink(ctx context.Context, server *child.Server, n int) Table {
	return b.collect(ctx, "sink", n, b.contenders(clients.Managed), func(ctx context.Context, c contender, n int, tag string) (s sample, err error) {
		user := lean.UserSink
		if c.managed {
			user = lean.UserManagedSink
		}
		out, err := child.Start(ctx, child.Spec{Library: c.name, Role: child.Sender, Account: server.Account(user),
			To: "romeo@" + lean.Domain + "/orchard", N: n, Tag: tag, Profile: b.profileOf(c, "sink")}, b.Tools)
		if err != nil {
			return s, err
		}
		defer out.Stop()
		if err := out.Ready(ctx); err != nil {
			return s, err
		}
		if err := server.Order(fmt.Sprintf("count %d", n)); err != nil {
			return s, err
		}
		time.Sleep(settle)
		if err := out.Order("go"); err != nil {
			return s, err
		}
		end, err := server.Full(ctx)
		if err != nil {
			return s, err
		}
		if err := out.Order("stop"); err != nil {
			return s, err
		}
		var start, cpu int64
		if err := out.Result(ctx, &start, &cpu); err != nil {
			return s, err
		}
		return sample{rate: rate(n, end.Sub(time.Unix(0, start))), out: float64(cpu) / float64(n)}, nil
	})
}

// Source pours n messages from the lean server, which has them ready as bytes, into each client.
func (b *Bench) Source(ctx context.Context, server *child.Server, n int) Table {
	return b.collect(ctx, "source", n, b.contenders(clients.Managed), func(ctx context.Context, c contender, n int, tag string) (s sample, err error) {
		user := lean.UserSource
		if c.managed {
			user = lean.UserManagedSource
		}
		in, err := child.Start(ctx, child.Spec{Library: c.name, Role: child.Receiver, Account: server.Account(user),
			To: server.Account(user).JID(), N: n, Tag: tag, Profile: b.profileOf(c, "source")}, b.Tools)
		if err != nil {
			return s, err
		}
		defer in.Stop()
		if err := in.Ready(ctx); err != nil {
			return s, err
		}
		if err := in.Order("go"); err != nil {
			return s, err
		}
		time.Sleep(settle)
		if err := server.Order(fmt.Sprintf("pour %d %s", n, tag)); err != nil {
			return s, err
		}
		start, err := server.Poured(ctx)
		if err != nil {
			return s, err
		}
		var end, cpu int64
		if err := in.Result(ctx, &end, &cpu); err != nil {
			return s, err
		}
		in.Order("stop")
		return sample{rate: rate(n, time.Unix(0, end).Sub(start)), in: float64(cpu) / float64(n)}, nil
	})
}

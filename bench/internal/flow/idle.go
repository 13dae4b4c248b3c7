package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/child"
	"github.com/go-xmppframework/xmpp/bench/internal/clients"
	"github.com/go-xmppframework/xmpp/bench/internal/lean"
)

// IdleRow says what one client keeps for a stream that only exists.
type IdleRow struct {
	Client, Module string
	Goroutines     float64 // a stream
	Heap, Stack    float64 // KiB a stream, after garbage collection
	Failed         string
}

// IdleTable is one measurement of all Go clients.
type IdleTable struct {
	Server  string
	Streams int
	Rows    []IdleRow
}

// idleUsers are the accounts over which streams on a real server are spread:
// every one of them hears of the others of its account, so there are not too many of each.
func idleUsers() []string {
	users := make([]string, 10)
	for i := range users {
		users[i] = fmt.Sprintf("idle%d", i)
	}
	return users
}

// IdleLean opens n streams to the lean server in one process.
func (b *Bench) IdleLean(ctx context.Context, server *child.Server, n int) IdleTable {
	return b.idle(ctx, "lean server", server.Account(lean.UserIdle), []string{lean.UserIdle}, n)
}

// IdleReal opens n streams to a real server in one process.
func (b *Bench) IdleReal(ctx context.Context, r *Real, n int) IdleTable {
	return b.idle(ctx, r.Name, r.account(""), idleUsers(), n)
}

func (b *Bench) idle(ctx context.Context, server string, a clients.Account, users []string, n int) IdleTable {
	t := IdleTable{Server: server, Streams: n}
	for _, c := range b.contenders() {
		if _, err := clients.ByName(c.name); err != nil {
			continue // no Go: it has no goroutines, and its heap is not ours to read
		}
		row := IdleRow{Client: c.name, Module: c.module}
		if err := b.idleOne(ctx, c, a, users, n, &row); err != nil {
			row.Failed = err.Error()
		}
		fmt.Fprintf(b.Progress, "idle %-10s %5d streams: %.2f goroutines, %.1f KiB heap, %.1f KiB stack %s\n",
			c.name, n, row.Goroutines, row.Heap, row.Stack, row.Failed)
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (b *Bench) idleOne(ctx context.Context, c contender, a clients.Account, users []string, n int, row *IdleRow) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	p, err := child.Start(ctx, child.Spec{Library: c.name, Role: child.Idle, Account: a, Users: users, N: n,
		Profile: b.profileOf(c, fmt.Sprintf("idle%d", n))}, b.Tools)
	if err != nil {
		return err
	}
	defer p.Stop()
	if err := p.Ready(ctx); err != nil {
		return err
	}
	var routines, heap, stack int64
	if err := p.Result(ctx, &routines, &heap, &stack); err != nil {
		return err
	}
	row.Goroutines = float64(routines) / float64(n)
	row.Heap, row.Stack = float64(heap)/float64(n)/1024, float64(stack)/float64(n)/1024
	return nil
}

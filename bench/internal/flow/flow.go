// Package flow measures whole clients: messages between two of them through a real server,
// out of one into a sink, into one from a source, and streams that only exist.
// Every client runs in a process of its own, see package child.
package flow

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/child"
	"github.com/go-xmppframework/xmpp/bench/internal/clients"
	"github.com/go-xmppframework/xmpp/bench/internal/micro"
	"github.com/go-xmppframework/xmpp/bench/internal/outside"
)

// runTimeout bounds one run of one client, login included.
const runTimeout = 90 * time.Second

// settle lets a receiver's process note its processor time before the first message comes.
const settle = 50 * time.Millisecond

// Bench holds what the measurements share.
type Bench struct {
	Tools    *outside.Tools
	Dir      string    // for files that live as long as the run
	Rounds   int       // each measurement is the median of so many
	Progress io.Writer // told of every run
	Profile  string    // folder for CPU profiles of this library's processes; empty: none
	Only     []string  // names of the clients to measure; empty: all
}

// Row is what came out for one client.
type Row struct {
	Client, Module, Remark string

	Rate, Least, Most float64 // messages a second: median, least, most
	Out, In           float64 // client processor time in microseconds a message, 0 where that side was not measured
	Server            float64 // the server's, 0 where it was not measured
	Failed            string  // why there are no figures, empty otherwise

	Rates []float64 // messages a second of every run
}

// Table is one measurement of all clients.
type Table struct {
	Name     string // "ejabberd", "Prosody", "sink", "source"
	Messages int
	Rounds   int
	Rows     []Row
}

// sample is one run.
type sample struct{ rate, out, in, server float64 }

// contender is a client as the tables name it.
type contender struct {
	name, module, remark string
	share                int  // it is measured with 1/share of the messages, to bound the time
	managed              bool // needs a server with stream management
}

// contenders lists the clients that this machine can run, and more.
func (b *Bench) contenders(more ...clients.Library) []contender {
	var list []contender
	for _, l := range append(clients.All(), more...) {
		list = append(list, contender{l.Name, l.Module, l.Remark, 1, l.Managed})
	}
	if b.Tools.Strophe != "" {
		list = append(list, contender{child.Strophe, "libstrophe " + b.Tools.Versions["strophe"] + " (C)", "stream management off", 1, false})
	}
	if b.Tools.Slix != "" {
		list = append(list, contender{child.Slixmpp, "slixmpp " + b.Tools.Versions["slixmpp"] + " (Python)", "", 5, false})
	}
	return slices.DeleteFunc(list, func(c contender) bool { return len(b.Only) > 0 && !slices.Contains(b.Only, c.name) })
}

// collect runs every client once a round and makes a table of the medians.
// A client that fails is left out of the later rounds.
func (b *Bench) collect(ctx context.Context, name string, n int, list []contender, run func(ctx context.Context, c contender, n int, tag string) (sample, error)) Table {
	rates, outs, ins, servers := make([][]float64, len(list)), make([][]float64, len(list)), make([][]float64, len(list)), make([][]float64, len(list))
	failed := make([]string, len(list))
	for round := range b.Rounds {
		for i, c := range list {
			if failed[i] != "" || ctx.Err() != nil {
				continue
			}
			runCtx, cancel := context.WithTimeout(ctx, runTimeout)
			s, err := run(runCtx, c, n/c.share, fmt.Sprintf("run%d.%d.%d", round, i, time.Now().UnixNano()%1e9))
			cancel()
			if err != nil {
				failed[i] = err.Error()
				fmt.Fprintf(b.Progress, "%s %s: %v\n", name, c.name, err)
				continue
			}
			fmt.Fprintf(b.Progress, "%-10s %-10s %8.0f messages/s, %5.2f us out, %5.2f us in, %6.2f us in the server\n", name, c.name, s.rate, s.out, s.in, s.server)
			rates[i], outs[i], ins[i], servers[i] = append(rates[i], s.rate), append(outs[i], s.out), append(ins[i], s.in), append(servers[i], s.server)
		}
	}
	t := Table{Name: name, Messages: n, Rounds: b.Rounds}
	for i, c := range list {
		row := Row{Client: c.name, Module: c.module, Remark: c.remark, Failed: failed[i], Rates: rates[i]}
		if failed[i] == "" && len(rates[i]) > 0 {
			row.Rate, row.Least, row.Most = micro.Median(rates[i]), slices.Min(rates[i]), slices.Max(rates[i])
			row.Out, row.In, row.Server = micro.Median(outs[i]), micro.Median(ins[i]), micro.Median(servers[i])
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// profileOf names the file for a CPU profile, for this library only.
func (b *Bench) profileOf(c contender, what string) string {
	if b.Profile == "" || c.name != clients.All()[0].Name && c.name != clients.Managed.Name {
		return ""
	}
	return b.Profile + "/" + c.name + "-" + what + ".pprof"
}

func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

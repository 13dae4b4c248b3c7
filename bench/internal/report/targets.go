package report

import (
	"fmt"
	"strings"

	"github.com/go-xmppframework/xmpp/bench/internal/clients"
	"github.com/go-xmppframework/xmpp/bench/internal/flow"
)

// Target is a promise about this library and what the run says about it.
type Target struct {
	What, Promise, Measured string
	Met                     bool
}

// Targets compares the figures with what the library is built to reach.
// A promise whose figures were not measured is left out.
func (r *Results) Targets() []Target {
	var list []Target
	add := func(what, promise, measured string, met bool) {
		list = append(list, Target{what, promise, measured, met})
	}
	ratio := func(what, promise string, got, least float64) {
		add(what, promise, fmt.Sprintf("%.2f ×", got), got >= least)
	}
	allocs := func(what string, got, most float64) {
		add(what, fmt.Sprintf("at most %.0f allocations", most), fmt.Sprintf("%.1f", got), got < most+0.05)
	}
	if ours, ok := figure(r.Decode, "ours"); ok {
		if f, ok := bestGo(r.Decode); ok {
			ratio("decode a stanza", "5 × the fastest other Go library", f.NS/ours.NS, 5)
		}
		if f, ok := figure(r.Decode, "libexpat, counting"); ok {
			ratio("decode a stanza", "1.3 × libexpat that only counts", f.NS/ours.NS, 1.3)
		}
		allocs("decode a stanza", ours.Allocs, 6)
	}
	if ours, ok := figure(r.Encode, "ours"); ok {
		if f, ok := bestGo(r.Encode); ok {
			ratio("build and encode a message", "5 × the fastest other Go library", f.NS/ours.NS, 5)
		}
		allocs("build and encode a message", ours.Allocs, 2)
	}
	if ours, ok := figure(r.Serialise, "ours"); ok {
		if f, ok := figure(r.Serialise, "etree"); ok {
			ratio("serialise a tree", "3.5 × etree's WriteTo", f.NS/ours.NS, 3.5)
		}
		allocs("serialise a tree", ours.Allocs, 0)
	}
	for _, f := range r.JID {
		if strings.HasPrefix(f.Name, "ours: parse") && strings.Contains(f.Name, "ASCII") {
			what := "parse an address, " + strings.TrimPrefix(f.Name, "ours: parse ")
			add(what, "at most 40 ns", fmt.Sprintf("%.0f ns", f.NS), f.NS <= 40)
			allocs(what, f.Allocs, 0)
		}
	}
	list = append(list, r.flowTargets()...)
	list = append(list, r.idleTargets()...)
	list = append(list, r.contactTargets()...)
	list = append(list, r.roomTargets()...)
	return append(list, r.pubsubTargets()...)
}

func (r *Results) flowTargets() (list []Target) {
	for _, way := range []string{"sink", "source"} {
		t, _ := r.table(way)
		ours, ok := row(t, "ours")
		top, okGo := best(t, func(row flow.Row) float64 { return row.Rate })
		if ok && okGo {
			list = append(list, Target{"messages a second, " + way, "3 × the fastest other Go library",
				fmt.Sprintf("%.2f ×", ours.Rate/top), ours.Rate >= 3*top})
		}
	}
	list = append(list, r.managedTargets()...)
	t, _ := r.table("ejabberd")
	ours, ok := row(t, "ours")
	if !ok {
		return list
	}
	cpu := func(row flow.Row) float64 { return row.Out + row.In }
	if f, ok := row(t, "libstrophe"); ok {
		list = append(list,
			Target{"messages a second through ejabberd", "at least libstrophe's, within 5 %", fmt.Sprintf("%.2f ×", ours.Rate/f.Rate), ours.Rate >= 0.95*f.Rate},
			Target{"client CPU a message, out and in, ejabberd", "at most libstrophe's", fmt.Sprintf("%.2f ×", cpu(ours)/cpu(f)), cpu(ours) <= cpu(f)})
	}
	if top, ok := best(t, func(row flow.Row) float64 { return row.Rate }); ok {
		list = append(list, Target{"messages a second through ejabberd", "at least the fastest other Go library's, within 5 %",
			fmt.Sprintf("%.2f ×", ours.Rate/top), ours.Rate >= 0.95*top})
	}
	if least, ok := best(t, func(row flow.Row) float64 { return -cpu(row) }); ok {
		list = append(list, Target{"client CPU a message, out and in, ejabberd", "at most half of the most economical other Go library's",
			fmt.Sprintf("%.2f ×", cpu(ours)/-least), cpu(ours) <= 0.5*-least})
	}
	return list
}

// managedTargets say what stream management costs: where the library is the limit, and through servers, where their own cost is in it,
// which a client without a library tells.
func (r *Results) managedTargets() (list []Target) {
	for _, where := range []string{"sink", "source", "ejabberd", "prosody"} {
		t, _ := r.table(where)
		ours, ok := ratio(t, clients.Managed.Name, "ours")
		if !ok {
			continue
		}
		what := "messages a second, " + where + ", stream management on"
		list = append(list, Target{what, "0.9 × those with it off", fmt.Sprintf("%.2f ×", ours), ours >= 0.9})
		if control, ok := ratio(t, clients.ManagedControl.Name, clients.Control.Name); ok {
			list = append(list, Target{what, "0.9 × what the server leaves of those with it off to a client without a library",
				fmt.Sprintf("%.2f × of %.2f ×", ours/control, control), ours >= 0.9*control})
		}
	}
	return list
}

func (r *Results) idleTargets() (list []Target) {
	for _, t := range r.Idle {
		if t.Streams < 2 {
			continue // one stream carries everything that a process has once
		}
		var ours flow.IdleRow
		least := 0.0
		for _, row := range t.Rows {
			switch {
			case row.Failed != "":
			case row.Client == "ours":
				ours = row
			case least == 0 || row.Heap < least:
				least = row.Heap
			}
		}
		if ours.Goroutines == 0 {
			continue
		}
		what := fmt.Sprintf("idle stream, %d on %s", t.Streams, t.Server)
		list = append(list, Target{what, "1 goroutine", fmt.Sprintf("%.2f", ours.Goroutines), ours.Goroutines < 1.05})
		if least > 0 {
			list = append(list, Target{what, "heap at most the smallest of the other Go libraries",
				fmt.Sprintf("%.2f ×", ours.Heap/least), ours.Heap <= least})
		}
		if strings.Contains(strings.ToLower(t.Server), "ejabberd") {
			list = append(list, Target{what, "at most 20 KiB of heap", fmt.Sprintf("%.1f KiB", ours.Heap), ours.Heap <= 20})
		}
	}
	return list
}

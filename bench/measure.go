package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/child"
	"github.com/go-xmppframework/xmpp/bench/internal/contacts"
	"github.com/go-xmppframework/xmpp/bench/internal/flow"
	"github.com/go-xmppframework/xmpp/bench/internal/micro"
	"github.com/go-xmppframework/xmpp/bench/internal/outside"
	"github.com/go-xmppframework/xmpp/bench/internal/pubsub"
	"github.com/go-xmppframework/xmpp/bench/internal/report"
	"github.com/go-xmppframework/xmpp/bench/internal/rooms"
	"github.com/go-xmppframework/xmpp/internal/integration"
)

type options struct {
	all, quick     bool
	only, clients  []string
	out, svg, json string
	profile        string
	messages       int
	rounds         int
}

func (o options) wants(section string) bool { return slices.Contains(o.only, section) }

// amounts are what distinguishes a quick run from a full one.
type amounts struct {
	effort  micro.Effort
	rounds  int // of the measurements with connections
	chat    int // messages through a real server
	oneWay  int // messages into the sink and from the source
	streams []int
	// how many contacts a roster has, the first of them for what starts with a storage
	contacts []int
	rooms    []int // occupants
	// of one node: items to be paged, subscribers and items for them
	items, subscribers, events int
}

func (o options) amounts() amounts {
	if o.quick {
		return amounts{micro.Effort{Rounds: 3, Each: 30 * time.Millisecond}, 1, 2000, 10000, []int{1, 100}, []int{200, 2000}, []int{200, 1000}, 1000, 100, 20}
	}
	return amounts{micro.Effort{Rounds: 10, Each: 200 * time.Millisecond}, 5, 5000, 50000, []int{1, 200, 5000}, []int{1000, 10_000, 100_000}, []int{1000, 10_000}, 10_000, 1000, 20}
}

func measure(ctx context.Context, o options) (*report.Results, error) {
	dir, err := os.MkdirTemp("", "xmpp-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tools := outside.Build(ctx, dir)
	r := &report.Results{Quick: o.quick, Machine: report.ThisMachine(), Missing: tools.Missing}
	a := o.amounts()
	if err := measureMicro(ctx, o, a, tools, dir, r); err != nil {
		return nil, err
	}
	b := &flow.Bench{Tools: tools, Dir: dir, Rounds: cmp.Or(o.rounds, a.rounds), Progress: os.Stderr, Profile: o.profile, Only: o.clients}
	if o.wants("sink") || o.wants("source") || o.wants("idle") {
		if err := measureLean(ctx, o, a, b, r); err != nil {
			return nil, err
		}
	}
	for _, kind := range []integration.Kind{integration.Ejabberd, integration.Prosody} {
		if o.wants(string(kind)) || kind == integration.Ejabberd && o.wants("idle") {
			if err := measureReal(ctx, o, a, b, kind, r); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", kind, err)
				r.Missing = append(r.Missing, string(kind))
			}
		}
	}
	if o.wants("contacts") {
		if err := measureContacts(ctx, a, dir, r); err != nil {
			return nil, err
		}
	}
	if o.wants("rooms") {
		for _, n := range a.rooms {
			v, err := rooms.Measure(ctx, n, a.rounds)
			if err != nil {
				return nil, fmt.Errorf("a room of %d: %w", n, err)
			}
			fmt.Fprintf(os.Stderr, "room of %6d occupants: join %8.1f ms, all leave %8.1f ms, %8.1f ms CPU, %6.1f MiB\n", n, v.Join, v.Leave, v.CPU, float64(v.Heap)/(1<<20))
			r.Rooms = append(r.Rooms, v)
		}
	}
	if o.wants("pubsub") {
		measurePubSub(ctx, a, r)
	}
	return r, ctx.Err()
}

// measurePubSub uses real servers; one that is missing, or fails, is named on the page.
func measurePubSub(ctx context.Context, a amounts, r *report.Results) {
	for _, kind := range []integration.Kind{integration.Ejabberd, integration.Prosody} {
		if err := measurePubSubAt(ctx, a, kind, r); err != nil {
			fmt.Fprintf(os.Stderr, "pubsub, %s: %v\n", kind, err)
			r.Missing = append(r.Missing, string(kind))
		}
	}
}

func measurePubSubAt(ctx context.Context, a amounts, kind integration.Kind, r *report.Results) (err error) {
	srv, err := integration.Launch(kind, integration.LogLevel("error"), integration.MaxItems(a.items))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	if kind == integration.Ejabberd { // Prosody knows no pages
		v, err := pubsub.Pages(ctx, srv, a.items, a.items/20)
		if err != nil {
			return fmt.Errorf("pages: %w", err)
		}
		fmt.Fprintf(os.Stderr, "%d items, %-18s %8.0f/s out, %8.0f/s in, %6.1f and %6.1f µs CPU an item, %d wrong\n", v.Items, v.Server, v.Out, v.In, v.CPUOut, v.CPUIn, v.Missing)
		r.Paged = append(r.Paged, v)
	}
	v, err := pubsub.Deliver(ctx, srv, a.subscribers, a.events)
	if err != nil {
		return fmt.Errorf("subscribers: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%d subscribers, %-18s %d deliveries, %8.0f/s, %6.1f µs CPU each, %d out of order\n", v.Subscribers, v.Server, v.Came, v.Rate, v.CPU, v.Disorder)
	r.Delivered = append(r.Delivered, v)
	return nil
}

func measureContacts(ctx context.Context, a amounts, dir string, r *report.Results) error {
	for _, n := range a.contacts {
		f, err := contacts.MeasureFetch(ctx, n, a.rounds)
		if err != nil {
			return fmt.Errorf("fetching %d contacts: %w", n, err)
		}
		fmt.Fprintf(os.Stderr, "fetch %7d contacts %8.1f ms, %8.1f ms CPU, %6.1f MiB\n", n, f.Wall, f.CPU, float64(f.Heap)/(1<<20))
		r.Fetches = append(r.Fetches, f)
	}
	first := a.contacts[0]
	here, err := contacts.MeasureStart(ctx, dir, first, a.rounds)
	if err != nil {
		return fmt.Errorf("contacts: %w", err)
	}
	r.Starts = append(r.Starts, here)
	for _, kind := range []integration.Kind{integration.Ejabberd, integration.Prosody} {
		st, err := contacts.MeasureRealStart(ctx, dir, kind, first, a.rounds)
		if err != nil {
			fmt.Fprintf(os.Stderr, "contacts, %s: %v\n", kind, err)
			r.Missing = append(r.Missing, string(kind))
			continue
		}
		r.Starts = append(r.Starts, st)
	}
	for _, st := range r.Starts {
		fmt.Fprintf(os.Stderr, "%d contacts, %-18s login and fetch %6.1f ms, from SQLite %6.1f ms\n", st.Contacts, st.Server, st.Login, st.Stored)
	}
	return nil
}

func measureMicro(ctx context.Context, o options, a amounts, tools *outside.Tools, dir string, r *report.Results) error {
	corpus := micro.NewCorpus()
	for _, s := range []struct {
		name string
		list func() ([]micro.Candidate, error)
		to   *[]micro.Figure
	}{
		{"decode", func() ([]micro.Candidate, error) {
			c, err := expat(ctx, tools, dir, corpus)
			return append(micro.Decode(corpus), c...), err
		}, &r.Decode},
		{"encode", func() ([]micro.Candidate, error) { return micro.Encode(), nil }, &r.Encode},
		{"serialise", func() ([]micro.Candidate, error) { return micro.Serialise(corpus) }, &r.Serialise},
		{"jid", func() ([]micro.Candidate, error) { return micro.JIDs(), nil }, &r.JID},
		{"scram", micro.SCRAMs, &r.SCRAM},
	} {
		if !o.wants(s.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		list, err := s.list()
		if err != nil {
			return err
		}
		if *s.to, err = micro.Measure(list, a.effort); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for _, f := range *s.to {
			fmt.Fprintf(os.Stderr, "%-10s %-34s %10.1f ns %6.1f allocations\n", s.name, f.Name, f.NS, f.Allocs)
		}
	}
	return nil
}

// expat lists what libexpat takes for the same corpus, measured inside its program.
func expat(ctx context.Context, tools *outside.Tools, dir string, corpus micro.Corpus) ([]micro.Candidate, error) {
	if tools.Expat == "" {
		return nil, nil
	}
	file := filepath.Join(dir, "corpus.xml")
	if err := os.WriteFile(file, []byte(corpus.Stream), 0o600); err != nil {
		return nil, err
	}
	candidate := func(name string, namespaces bool) micro.Candidate {
		return micro.Candidate{Name: name, Module: "libexpat " + tools.Versions["expat"] + " (C)", Yields: "callbacks that count",
			Ops: micro.Stanzas, Bytes: len(corpus.Stream), Outside: func() (float64, error) {
				took, err := tools.CountExpat(ctx, file, 20, namespaces)
				return micro.Median(took) / micro.Stanzas, err
			}}
	}
	return []micro.Candidate{candidate("libexpat, counting", false), candidate("libexpat, namespaces", true)}, nil
}

func measureLean(ctx context.Context, o options, a amounts, b *flow.Bench, r *report.Results) error {
	s, err := child.StartServer(ctx, b.Dir)
	if err != nil {
		return err
	}
	defer s.Stop()
	if o.wants("sink") {
		r.Flow = append(r.Flow, b.Sink(ctx, s, cmp.Or(o.messages, a.oneWay)))
	}
	if o.wants("source") {
		r.Flow = append(r.Flow, b.Source(ctx, s, cmp.Or(o.messages, a.oneWay)))
	}
	if o.wants("idle") {
		for _, n := range a.streams {
			r.Idle = append(r.Idle, b.IdleLean(ctx, s, n))
		}
	}
	return nil
}

func measureReal(ctx context.Context, o options, a amounts, b *flow.Bench, kind integration.Kind, r *report.Results) (err error) {
	server, err := flow.StartReal(kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if o.wants(string(kind)) {
		r.Flow = append(r.Flow, b.EndToEnd(ctx, server, cmp.Or(o.messages, a.chat)))
	}
	if kind == integration.Ejabberd && o.wants("idle") {
		r.Idle = append(r.Idle, b.IdleReal(ctx, server, min(200, a.streams[len(a.streams)-1])))
	}
	return nil
}

// Bench measures this library side by side with others and writes the figures down.
//
//	go run . -all -out ../docs/performance.md -svg ../docs/performance.svg    everything, about ten minutes
//	go run . -quick                                                           everything with little effort, under a minute
//	go run . -only decode,encode                                              some measurements
//
// The measurements are decode, encode, serialise, jid, scram (no connection), sink, source, idle (against a server of its own),
// ejabberd and prosody (real servers, started on loopback ports), contacts and pubsub (both), rooms (a server of its own).
// The page goes to standard output unless -out is given. -json keeps the figures, too.
//
// What a machine lacks of libstrophe, libexpat, slixmpp and the servers is left out, and the page says so.
// Everything happens on 127.0.0.1, in processes that end with this one.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/child"
	"github.com/go-xmppframework/xmpp/bench/internal/report"
)

// totalTimeout bounds a whole run.
const totalTimeout = 40 * time.Minute

var sections = []string{"decode", "encode", "serialise", "jid", "scram", "sink", "source", "ejabberd", "prosody", "idle", "contacts", "rooms", "pubsub"}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	// The program starts itself for the clients and the server of the measurements.
	if len(args) == 2 {
		switch args[0] {
		case child.Flag:
			return child.Main(args[1])
		case child.ServerFlag:
			return child.ServerMain(args[1])
		}
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.all, "all", false, "measure everything")
	flags.BoolVar(&o.quick, "quick", false, "little effort: everything, unless -only says otherwise, in less than a minute")
	only := flags.String("only", "", "comma-separated measurements: "+strings.Join(sections, ","))
	libs := flags.String("clients", "", "comma-separated clients for the measurements with connections; empty: all")
	flags.StringVar(&o.out, "out", "", "file for the page; empty: standard output")
	flags.StringVar(&o.svg, "svg", "", "file for the plot; empty: none")
	flags.StringVar(&o.json, "json", "", "file for the figures; empty: none")
	flags.IntVar(&o.messages, "messages", 0, "messages of each run; 0: as many as the page says")
	flags.IntVar(&o.rounds, "rounds", 0, "runs of each measurement with connections; 0: as many as the page says")
	flags.StringVar(&o.profile, "profile", "", "folder for CPU profiles of this library's clients; empty: none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.only = sections
	if *only != "" {
		o.only = strings.Split(*only, ",")
	} else if !o.all && !o.quick {
		flags.Usage()
		return fmt.Errorf("nothing to measure: -all, -quick or -only")
	}
	for _, s := range o.only {
		if !slices.Contains(sections, s) {
			return fmt.Errorf("no measurement %q; there are %s", s, strings.Join(sections, ", "))
		}
	}
	if *libs != "" {
		o.clients = strings.Split(*libs, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	r.Command = strings.TrimSpace("go run . " + strings.Join(args, " "))
	return write(r, o)
}

func write(r *report.Results, o options) error {
	if o.json != "" {
		if err := r.WriteJSON(o.json); err != nil {
			return err
		}
	}
	plot := ""
	if o.svg != "" {
		plot = filepath.Base(o.svg)
		f, err := os.Create(o.svg)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := r.SVG(f); err != nil {
			return err
		}
	}
	if o.out == "" {
		return r.Markdown(os.Stdout, plot)
	}
	f, err := os.Create(o.out)
	if err != nil {
		return err
	}
	defer f.Close()
	return r.Markdown(f, plot)
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// runner is one run of the program.
type runner struct {
	options
	cfg       xmpp.Config
	node      pubsub.Typed[Reading]
	board     board
	made      sync.Once // the node
	published atomic.Int64
	end       context.CancelCauseFunc // ends the run

	mu    sync.Mutex // guards what follows
	out   io.Writer
	drawn int // how many lines the plot has that the next one is drawn over
}

// isService says that the node is at a PubSub service, and not at an account.
func (r *runner) isService() bool { return !r.service.IsZero() && r.service.Local() == "" }

// source is whose events count.
func (r *runner) source() xmpp.JID { return cmp.Or(r.service, r.cfg.JID.Bare()) }

func (r *runner) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
	r.drawn = 0
}

// run publishes and plots until ctx is done, or the time of the options is over, which begins when the past is known.
func run(ctx context.Context, o options, out io.Writer) error {
	cfg, srv, err := o.account.One("juliet", xmpptest.WithPEP())
	if err != nil {
		return err
	}
	if srv != nil {
		defer srv.Close()
		fmt.Fprintf(out, "A server for %s runs inside this program. Try a real one with -jid user@domain.\n\n", srv.Domain())
	}
	r := &runner{options: o, cfg: cfg, node: readings(o.node), out: out}
	if o.service.Local() != "" && o.service != cfg.JID.Bare() {
		r.sensors = 0
	}
	if srv != nil {
		if err := r.past(ctx, 40); err != nil {
			return err
		}
	}
	ctx, r.end = context.WithCancelCause(ctx)
	err = r.all(ctx)
	r.end(err)
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// all runs the watcher and the sensors, and draws.
func (r *runner) all(ctx context.Context) error {
	if r.listen != "" {
		stop, err := r.serve(ctx)
		if err != nil {
			return err
		}
		defer stop()
	}
	if r.plot {
		stop, err := r.watch(ctx)
		if err != nil {
			return err
		}
		defer r.summary()
		defer stop(ctx)
	}
	if r.duration > 0 {
		defer time.AfterFunc(r.duration, func() { r.end(nil) }).Stop()
	}
	var sensors sync.WaitGroup
	defer sensors.Wait()
	for n := range r.sensors {
		sensors.Go(func() {
			if err := r.sensor(ctx, n); err != nil {
				r.end(err)
			}
		})
	}
	for tick := time.NewTicker(250 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
			if r.terminal && r.plot && r.listen == "" {
				r.draw()
			}
		}
	}
}

// draw plots in the terminal, over the last plot.
func (r *runner) draw() {
	lines := r.board.text()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drawn > 0 {
		fmt.Fprintf(r.out, "\x1b[%dA\x1b[J", r.drawn)
	}
	fmt.Fprintln(r.out, strings.Join(lines, "\n"))
	r.drawn = len(lines)
}

func (r *runner) summary() {
	if r.listen == "" {
		r.draw()
	}
	past, live, bad := r.board.counts()
	r.say("%d readings: %d of the past, %d as they were published; %d that were none. %d published here.", past+live, past, live, bad, r.published.Load())
}

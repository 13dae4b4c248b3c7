// Unbreakable sends numbered messages while the connection is cut again and again, at random bytes, and loses none.
//
// It prints a live account while it sends, a table at the end, and draws a picture of the counters over time.
// What survives is made in client.go: a stream with the modules sm and reconnect.
//
// Without flags it starts a server of its own inside the program; with -restart that crashes in the middle, too.
// With -jid it uses an account on a real server, twice; the password is read from XMPP_PASSWORD, or asked for.
//
// The exit status is 1 if a message was lost, or delivered twice, or if the server did not acknowledge all of them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/go-xmppframework/xmpp/examples/internal/account"
)

// options are the flags.
type options struct {
	account  account.Flags
	messages int
	cuts     int
	rate     float64 // messages a second
	seed     uint64
	restart  bool
	svg      string

	terminal bool // the live account is one line that changes
}

func main() {
	var o options
	o.account.Register(flag.CommandLine)
	flag.IntVar(&o.messages, "messages", 2000, "how many to send")
	flag.IntVar(&o.cuts, "cuts", 25, "how often to cut the connection")
	flag.Float64Var(&o.rate, "rate", 200, "messages a second")
	flag.Uint64Var(&o.seed, "seed", 1, "another one cuts at other bytes")
	flag.BoolVar(&o.restart, "restart", false, "crash and restart the server in the middle, which forgets the sessions; not with -jid")
	flag.StringVar(&o.svg, "svg", "unbreakable.svg", "`file` for the picture; none if empty")
	flag.Parse()
	if info, err := os.Stdout.Stat(); err == nil {
		o.terminal = info.Mode()&os.ModeCharDevice != 0
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "unbreakable:", err)
		os.Exit(2)
	}
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "unbreakable:", err)
		os.Exit(1)
	}
}

// check finds flags that cannot work.
func (o *options) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: the account goes into -jid", flag.Arg(0))
	case o.messages < 1 || o.cuts < 0 || o.rate <= 0:
		return fmt.Errorf("%d messages, %d cuts, %g a second: that cannot be done", o.messages, o.cuts, o.rate)
	case o.restart && o.account.JID != "":
		return fmt.Errorf("-restart is for the server inside the program")
	}
	return nil
}

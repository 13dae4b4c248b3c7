// Sensors publishes what some sensors measure, and plots it: what was published before is fetched page by page, what comes later is heard as it is published.
//
// Without flags it starts a server of its own inside the program, plots in the terminal, and ends after some seconds. With -jid it uses an account on a real server,
// until it is interrupted; the password is read from XMPP_PASSWORD, or asked for. The readings are at a node of that account (XEP-0163), or of what -service names:
// a service to publish at (XEP-0060), or a contact, whose sensors are then only watched. With -listen the plot is on a page for a browser.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/examples/internal/account"
)

// options are the flags.
type options struct {
	account  account.Flags
	service  xmpp.JID
	node     string
	sensors  int
	plot     bool
	every    time.Duration
	duration time.Duration // if zero, until ctx is done
	listen   string

	terminal bool // the plot is drawn over itself
}

func main() {
	var o options
	o.account.Register(flag.CommandLine)
	flag.TextVar(&o.service, "service", xmpp.JID{}, "`address` of a PubSub service, or of a contact; if empty, the own account")
	flag.StringVar(&o.node, "node", ns+":readings", "`name` of the node")
	flag.IntVar(&o.sensors, "sensors", 3, "how many publish here; with 0, only what others publish is plotted")
	flag.BoolVar(&o.plot, "plot", true, "subscribe, and plot; without it, only publish")
	flag.DurationVar(&o.every, "every", time.Second, "how often each sensor measures")
	flag.DurationVar(&o.duration, "for", 0, "how long; if 0, until interrupted")
	flag.StringVar(&o.listen, "listen", "", "`[host]:port` of a page with the plot, instead of the terminal; without host on this computer only")
	flag.Parse()
	if flag.NFlag() == 0 {
		o.every, o.duration = 100*time.Millisecond, 4*time.Second
	}
	if info, err := os.Stdout.Stat(); err == nil {
		o.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if flag.NArg() > 0 || o.sensors < 0 || o.sensors > len(places) || o.every <= 0 {
		fmt.Fprintf(os.Stderr, "sensors: at most %d sensors, some time between readings, and no arguments\n", len(places))
		os.Exit(2)
	}
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sensors:", err)
		os.Exit(1)
	}
}

// Servers installs and starts the real XMPP servers that the tests use.
//
//	servers install [-required]   install what is missing (needs root and apt; otherwise says what is missing)
//	servers list                  show what is there
//	servers start [flags] KIND    start one until interrupted, with accounts, and print its addresses
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/go-xmppframework/xmpp/internal/integration"
)

const usage = `usage:
  servers install [-required]
  servers list
  servers start [-accounts alice,bob] [-domains localhost,xmpp.test] [-log info] prosody|ejabberd|prosody13|ejabberd26
`

var errUsage = errors.New("wrong usage")

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, errUsage) {
			fmt.Fprint(os.Stderr, usage)
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "install":
			return install(args[1:], out)
		case "list":
			return list(out)
		case "start":
			return start(args[1:], out)
		}
	}
	return errUsage
}

// install does not fail where servers cannot be had, unless they are required: the tests skip then.
func install(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("install", flag.ContinueOnError)
	required := fs.Bool("required", os.Getenv("XMPP_INTEGRATION") == "required", "fail when a server is missing in the end")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if os.Getenv("XMPP_INTEGRATION") == "off" {
		return nil
	}
	// An interrupt ends apt, which gets it too; what was changed for the installation is put back before this ends.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	err := integration.Install(out)
	select {
	case sig := <-interrupted:
		return errors.Join(fmt.Errorf("%v", sig), err)
	default:
	}
	if err != nil && !*required {
		fmt.Fprintln(out, "some real servers are missing, their tests are skipped:", err)
		return nil
	}
	return err
}

func list(out io.Writer) error {
	for _, k := range integration.Kinds() {
		if version, err := integration.Available(k); err != nil {
			fmt.Fprintf(out, "%-12s missing: %v\n", k, err)
		} else {
			fmt.Fprintf(out, "%-12s %s\n", k, version)
		}
	}
	return nil
}

func start(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("start", flag.ContinueOnError)
	accounts := fs.String("accounts", "alice,bob,carol,admin", "the accounts to make; the password of NAME is NAME-secret")
	domains := fs.String("domains", strings.Join([]string{integration.Full, integration.Lean}, ","), "the domains to make them at")
	level := fs.String("log", "info", "what the server logs: debug, info, warn or error")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return errUsage
	}
	kind, err := integration.ParseKind(fs.Arg(0))
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	s, err := integration.Launch(kind, integration.LogLevel(*level))
	if err != nil {
		return err
	}
	if err := fill(s, *accounts, *domains); err != nil {
		return errors.Join(err, s.Close())
	}
	describe(out, s, *accounts, *domains)
	<-stop
	return s.Close()
}

func fill(s *integration.Server, accounts, domains string) error {
	for domain := range strings.SplitSeq(domains, ",") {
		for name := range strings.SplitSeq(accounts, ",") {
			if err := s.CreateAccount(name, domain, name+"-secret"); err != nil {
				return err
			}
		}
	}
	return nil
}

func describe(out io.Writer, s *integration.Server, accounts, domains string) {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "server\t%s %s\n", s.Kind, s.Version)
	for _, p := range integration.AllPorts() {
		fmt.Fprintf(w, "%v\t%s\n", p, s.Addr(p))
	}
	fmt.Fprintf(w, "BOSH\t%s\n", s.BOSH(false))
	fmt.Fprintf(w, "WebSocket\t%s\n", s.WebSocket(false))
	fmt.Fprintf(w, "component secret\t%s\n", integration.ComponentSecret)
	fmt.Fprintf(w, "CA certificate\t%s\n", s.CACertFile())
	fmt.Fprintf(w, "logs and data\t%s\n", s.Dir())
	fmt.Fprintf(w, "domains\t%s\n", domains)
	for name := range strings.SplitSeq(accounts, ",") {
		fmt.Fprintf(w, "account\t%s, password %s-secret\n", name, name)
	}
	fmt.Fprintln(w, "Interrupt to stop.")
	w.Flush()
}

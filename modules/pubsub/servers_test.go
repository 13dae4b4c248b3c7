package pubsub_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
)

// page reads the table of docs/pubsub.md: what each use case does with the service and with an account of each kind of server.
func page(t *testing.T) map[string]map[string]bool {
	t.Helper()
	b, err := os.ReadFile("../../docs/pubsub.md")
	if err != nil {
		t.Fatal(err)
	}
	var heads []string
	for _, k := range []integration.Kind{integration.Prosody, integration.Prosody13, integration.Ejabberd, integration.Ejabberd26} {
		heads = append(heads, place(k, false), place(k, true))
	}
	out := map[string]map[string]bool{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4+len(heads) {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		row := map[string]bool{}
		for i, c := range cells[4:] {
			letter, no := strings.CutPrefix(c, "no ")
			if c != "yes" && (!no || !strings.Contains(string(b), "\n| "+letter+" | ")) {
				break // the head of the table
			}
			row[heads[i]] = !no
		}
		if len(row) == len(heads) {
			out[cells[0]+" "+cells[1]] = row
		}
	}
	return out
}

func place(k integration.Kind, pep bool) string { return fmt.Sprintf("%s PEP=%v", k, pep) }

func allCases() map[string]func(*scene) error {
	cases := maps.Clone(readCases)
	maps.Copy(cases, writeCases)
	return cases
}

// TestPage: each use case has a row in docs/pubsub.md, and each row a use case.
func TestPage(t *testing.T) {
	rows, cases := page(t), allCases()
	if len(cases) != len(readCases)+len(writeCases) || len(rows) < 50 {
		t.Error(len(cases), "cases,", len(rows), "rows")
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		if rows[name] == nil {
			t.Errorf("%q has no row", name)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("the row %q has no use case", name)
	}
}

// alone are the use cases that ask about all nodes. They come first: Prosody does not answer who asks for all subscriptions
// once a node has been deleted to which they were subscribed.
var alone = []string{"5.2 nodes", "5.6 own subscriptions, all", "5.7 own affiliations, all"}

// TestIntegrationUseCases plays every use case with a service and with an account, on each server, and holds the outcome against docs/pubsub.md.
func TestIntegrationUseCases(t *testing.T) {
	rows := page(t)
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		login := func(address, password string) (*pubsub.PubSub, *xmpp.Stream, *log) {
			p, s, _ := realClientOf(t, srv, address, password)
			l := newLog()
			p.AddDelegate(l.delegate(), nil)
			return p, s, l
		}
		account := srv.NewAccount
		if !srv.Has(integration.PubSubCreate) {
			account = func(t testing.TB) (string, string) { return srv.Admin(t, integration.Full) }
		}
		owner, ownerStream, ownerHeard := login(account(t))
		subscriber, stream, heard := login(srv.NewAccount(t))
		integration.Befriend(t, ctx, ownerStream, stream)
		play := func(name string, pep bool) {
			can := rows[name][place(srv.Kind, pep)]
			x := &scene{
				owner: owner, subscriber: subscriber, ownerHeard: ownerHeard, heard: heard, who: stream.MyJID().Bare(),
				node: fmt.Sprintf("urn:example:%d:%v:%s", time.Now().UnixNano(), pep, name), patience: 20 * time.Second,
			}
			if !can {
				x.patience = 2 * time.Second
			}
			if pep {
				x.from = ownerStream.MyJID().Bare()
			} else {
				x.at = xmpp.MustParseJID("pubsub." + stream.MyJID().Domain())
				x.from = x.at
			}
			var stop func()
			x.ctx, stop = context.WithTimeout(ctx, 40*time.Second)
			defer stop()
			switch err := allCases()[name](x); {
			case can && err != nil:
				t.Errorf("%s, PEP %v: %v", name, pep, err)
			case !can && err == nil:
				t.Errorf("%s, PEP %v: it works, and the page says that it cannot", name, pep)
			case !can && x.ctx.Err() != nil:
				t.Errorf("%s, PEP %v: %v", name, pep, err)
			}
		}
		var wg sync.WaitGroup
		few := make(chan struct{}, 16)
		for _, pep := range []bool{false, true} {
			for _, name := range alone {
				play(name, pep)
			}
		}
		for _, pep := range []bool{false, true} {
			for _, name := range slices.Sorted(maps.Keys(allCases())) {
				if !slices.Contains(alone, name) {
					wg.Go(func() {
						few <- struct{}{}
						defer func() { <-few }()
						play(name, pep)
					})
				}
			}
		}
		wg.Wait()
	})
}

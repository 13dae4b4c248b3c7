package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/bench/internal/contacts"
	"github.com/go-xmppframework/xmpp/bench/internal/flow"
	"github.com/go-xmppframework/xmpp/bench/internal/micro"
	"github.com/go-xmppframework/xmpp/bench/internal/pubsub"
	"github.com/go-xmppframework/xmpp/bench/internal/rooms"
)

func sample() *Results {
	return &Results{
		Command: "go run . -all",
		Decode: []micro.Figure{
			{Name: "ours", Module: "this library", NS: 1000, Allocs: 5, Bytes: 590},
			{Name: "mellium", NS: 4900, Allocs: 100, Bytes: 590}, {Name: "gosrc", NS: 7000, Allocs: 100, Bytes: 590},
			{Name: "libexpat, counting", NS: 1500, Allocs: -1, Bytes: 590},
		},
		Flow: []flow.Table{{Name: "ejabberd 23.01", Messages: 10, Rounds: 1, Rows: []flow.Row{
			{Client: "ours", Module: "this library", Rate: 100, Out: 1, In: 2},
			{Client: "mellium", Module: "m", Rate: 104, Out: 3, In: 4},
			{Client: "gosrc", Module: "g", Failed: "cannot"},
			{Client: "libstrophe", Module: "l & <l>", Rate: 200, Out: 2, In: 2},
		}}, {Name: "sink", Messages: 10, Rounds: 3, Rows: []flow.Row{
			{Client: "ours", Module: "this library", Rate: 300, Rates: []float64{300, 100, 400}, Out: 1},
			{Client: "ours-sm", Module: "this library", Rate: 200, Rates: []float64{200, 95, 380}, Out: 1}, // 0.67, 0.95, 0.95
		}}, {Name: "Prosody 13", Messages: 10, Rounds: 1, Rows: []flow.Row{
			{Client: "ours", Module: "this library", Rate: 100, Rates: []float64{100}}, {Client: "ours-sm", Module: "this library", Rate: 75, Rates: []float64{75}},
			{Client: "bytes", Module: "no library", Rate: 100, Rates: []float64{100}}, {Client: "bytes-sm", Module: "no library", Rate: 80, Rates: []float64{80}},
		}}},
		Idle: []flow.IdleTable{{Server: "ejabberd 23.01", Streams: 200, Rows: []flow.IdleRow{
			{Client: "ours", Heap: 12, Goroutines: 1}, {Client: "xmppo", Heap: 10, Goroutines: 1}, {Client: "gosrc", Heap: 40, Goroutines: 2},
		}}},
		Fetches: []contacts.Fetch{{Contacts: 10_000, CPU: 30, Heap: 40 << 20, Events: 1}, {Contacts: 100_000, CPU: 350, Events: 1}},
		Starts:  []contacts.Start{{Server: "prosody", Contacts: 1000, Login: 100, Whole: 20, Stored: 4, Read: 2}, {Server: "here", Contacts: 1000, Login: 5, Stored: 4, Diff: 1}},
		Rooms:   []rooms.Visit{{Occupants: 1000, CPU: 20, Heap: 9 << 20}, {Occupants: 10_000, CPU: 220}},
		Paged:   []pubsub.Paged{{Server: "ejabberd", Items: 10_000, Page: 100, Out: 2000, In: 50_000, CPUOut: 30, CPUIn: 10}},
		Delivered: []pubsub.Delivered{
			{Server: "ejabberd", Subscribers: 1000, Items: 50, Came: 50_000, Rate: 20_000, CPU: 30},
			{Server: "Prosody", Subscribers: 1000, Items: 50, Came: 49_999, Rate: 20_000, CPU: 130},
		},
	}
}

func TestTargets(t *testing.T) {
	want := map[string]bool{
		"decode a stanza: 5 × the fastest other Go library":                                                                                 false,
		"decode a stanza: 1.3 × libexpat that only counts":                                                                                  true,
		"decode a stanza: at most 6 allocations":                                                                                            true,
		"messages a second through ejabberd: at least libstrophe's, within 5 %":                                                             false,
		"messages a second through ejabberd: at least the fastest other Go library's, within 5 %":                                           true,
		"client CPU a message, out and in, ejabberd: at most libstrophe's":                                                                  true,
		"client CPU a message, out and in, ejabberd: at most half of the most economical other Go library's":                                true,
		"messages a second, sink, stream management on: 0.9 × those with it off":                                                            true,
		"messages a second, prosody, stream management on: 0.9 × those with it off":                                                         false,
		"messages a second, prosody, stream management on: 0.9 × what the server leaves of those with it off to a client without a library": true,
		"idle stream, 200 on ejabberd 23.01: 1 goroutine":                                                                                   true,
		"idle stream, 200 on ejabberd 23.01: heap at most the smallest of the other Go libraries":                                           false,
		"fetch 10,000 contacts: less than 300 ms of processor time":                                                                         true,
		"fetch 10,000 contacts: less than 32 MiB":                                                                                           false,
		"fetch 10,000 contacts: one event":                                                                                                  true,
		"fetch 100,000 contacts: at most 1.2 × the processor time a contact of 10,000":                                                      true,
		"1000 contacts to be shown, from SQLite, prosody: a tenth of the time of login and fetch":                                           true,
		"enter a room of 1,000 occupants, who all leave: less than 200 ms of processor time":                                                true,
		"enter a room of 1,000 occupants, who all leave: less than 8 MiB":                                                                   false,
		"enter a room of 10,000 occupants, who all leave: at most 1.5 × the processor time a presence of 1,000":                             true,
		"10,000 items published and read back by pages, ejabberd: each comes back once, as it was":                                          true,
		"1,000 subscribers in one process, ejabberd: every event comes, in order":                                                           true,
		"1,000 subscribers in one process, ejabberd: less than 100 µs of processor time a delivery":                                         true,
		"1,000 subscribers in one process, Prosody: every event comes, in order":                                                            false,
		"1,000 subscribers in one process, Prosody: less than 100 µs of processor time a delivery":                                          false,
		"idle stream, 200 on ejabberd 23.01: at most 20 KiB of heap":                                                                        true,
	}
	for _, got := range sample().Targets() {
		name := got.What + ": " + got.Promise
		met, ok := want[name]
		if !ok || met != got.Met {
			t.Errorf("%s: met is %v (%s), expected: %v", name, got.Met, got.Measured, ok)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("missing: %s", name)
	}
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	if err := sample().Markdown(&b, "plot.svg"); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{
		"| mellium |  |  | 4.90 | 4,900 | 120 | 100 |", "**missed**", "no figures: the run failed",
		"0.94 × of 0.80 ×", "-only decode", "-only ejabberd\n", "-only idle", "-only pubsub", "| 49,999 |", "![", "go run . -all",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	// Every row of a table has as many cells as its head.
	cells := 0
	for line := range strings.Lines(page) {
		n := strings.Count(line, "|")
		if !strings.HasPrefix(line, "|") {
			cells = 0
			continue
		}
		if cells != 0 && n != cells {
			t.Errorf("%d bars instead of %d in %s", n, cells, line)
		}
		cells = n
	}
}

func TestSVG(t *testing.T) {
	for name, r := range map[string]*Results{"sample": sample(), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := r.SVG(&b); err != nil {
				t.Fatal(err)
			}
			for d := xml.NewDecoder(&b); ; {
				if _, err := d.Token(); err == io.EOF {
					return
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Package report keeps the figures of a run and writes them down: as JSON, as a Markdown page of ratios, as a plot.
// Nothing in the page or the plot is written by hand: a figure that was not measured is not there.
package report

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp/bench/internal/clients"
	"github.com/go-xmppframework/xmpp/bench/internal/contacts"
	"github.com/go-xmppframework/xmpp/bench/internal/flow"
	"github.com/go-xmppframework/xmpp/bench/internal/micro"
	"github.com/go-xmppframework/xmpp/bench/internal/pubsub"
	"github.com/go-xmppframework/xmpp/bench/internal/rooms"
)

// Machine says where the figures come from.
type Machine struct {
	CPU   string
	Cores int
	Go    string
	OS    string
}

// Results are the figures of one run; what was not measured is empty.
type Results struct {
	Command string // the command that measured
	Quick   bool   // measured with little effort: good for finding out that something broke, not for quoting
	Machine Machine
	Missing []string // outside programs that the machine lacks, servers that did not start

	Decode, Encode, Serialise, JID, SCRAM []micro.Figure

	Flow []flow.Table
	Idle []flow.IdleTable

	Fetches []contacts.Fetch
	Starts  []contacts.Start

	Rooms []rooms.Visit

	Paged     []pubsub.Paged
	Delivered []pubsub.Delivered
}

// ThisMachine describes the machine the program runs on.
func ThisMachine() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return m
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if name, value, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	return m
}

// WriteJSON writes the results to a file.
func (r *Results) WriteJSON(file string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// goLibraries are the names that the rows of other Go libraries begin with.
var goLibraries = []string{"mellium", "gosrc", "xmppo"}

func isGoLibrary(name string) bool {
	return slices.ContainsFunc(goLibraries, func(l string) bool { return strings.HasPrefix(name, l) })
}

// isControl reports whether a row is that of a client without a library.
func isControl(name string) bool {
	return name == clients.Control.Name || name == clients.ManagedControl.Name
}

// figure finds a row by the beginning of its name.
func figure(list []micro.Figure, name string) (micro.Figure, bool) {
	i := slices.IndexFunc(list, func(f micro.Figure) bool { return strings.HasPrefix(f.Name, name) })
	if i < 0 {
		return micro.Figure{}, false
	}
	return list[i], true
}

// bestGo returns the fastest other Go library.
func bestGo(list []micro.Figure) (best micro.Figure, ok bool) {
	for _, f := range list {
		if isGoLibrary(f.Name) && (!ok || f.NS < best.NS) {
			best, ok = f, true
		}
	}
	return best, ok
}

// table finds a flow table by the beginning of its name, in small letters.
func (r *Results) table(name string) (flow.Table, bool) {
	i := slices.IndexFunc(r.Flow, func(t flow.Table) bool { return strings.HasPrefix(strings.ToLower(t.Name), name) })
	if i < 0 {
		return flow.Table{}, false
	}
	return r.Flow[i], true
}

// ratio is how the rate of one client compares with that of another: the median over the rounds, in each of which they ran one after the other,
// so that what else the machine does weighs on both.
func ratio(t flow.Table, client, base string) (float64, bool) {
	a, okA := row(t, client)
	b, okB := row(t, base)
	if !okA || !okB {
		return 0, false
	}
	if len(a.Rates) != len(b.Rates) || len(a.Rates) == 0 {
		return a.Rate / b.Rate, true
	}
	list := make([]float64, len(a.Rates))
	for i := range list {
		list[i] = a.Rates[i] / b.Rates[i]
	}
	return micro.Median(list), true
}

func row(t flow.Table, client string) (flow.Row, bool) {
	i := slices.IndexFunc(t.Rows, func(row flow.Row) bool { return row.Client == client && row.Rate > 0 })
	if i < 0 {
		return flow.Row{}, false
	}
	return t.Rows[i], true
}

// best returns the highest value among the rows of other Go libraries; the lowest is the highest of the negated one.
func best(t flow.Table, value func(flow.Row) float64) (best float64, ok bool) {
	for _, row := range t.Rows {
		if isGoLibrary(row.Client) && row.Rate > 0 {
			if v := value(row); !ok || v > best {
				best, ok = v, true
			}
		}
	}
	return best, ok
}

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp/bench/internal/flow"
	"github.com/go-xmppframework/xmpp/bench/internal/micro"
)

// page collects Markdown.
type page struct{ strings.Builder }

func (p *page) line(format string, a ...any) { fmt.Fprintf(p, format+"\n", a...) }

func (p *page) section(title, text, only string) {
	p.line("\n## %s\n\n%s\n\n```\ncd bench && go run . -only %s\n```\n", title, text, only)
}

func (p *page) table(head ...string) {
	p.line("| %s |", strings.Join(head, " | "))
	p.line("|%s|", strings.Repeat("---|", len(head)-1)+"---")
}

func (p *page) row(cells ...string) { p.line("| %s |", strings.Join(cells, " | ")) }

// Markdown writes the page; plot is the name of the plot's file beside it, empty for none.
func (r *Results) Markdown(w io.Writer, plot string) error {
	p := &page{}
	p.line("# Performance\n")
	p.line("This library side by side with others, measured in one run on one machine. " +
		"Ratios carry over to other machines better than the absolute figures, so the tables give ratios first: " +
		"1.00 is this library, and the other figures are multiples of its own.\n")
	p.line("Written by `%s` in the folder `bench`; no figure on this page is typed.", r.Command)
	if r.Quick {
		p.line("\n**A quick run: it shows that the measurements work, its figures are too noisy to quote.**")
	}
	p.line("\nWhat is measured in nanoseconds runs in a process that holds %d MiB; in one that holds nothing, "+
		"the garbage collector would run every few milliseconds.", micro.Held>>20)
	p.line("\nMachine: %s, %d cores, %s, %s.", r.Machine.CPU, r.Machine.Cores, r.Machine.Go, r.Machine.OS)
	if len(r.Missing) > 0 {
		p.line("\nNot measured, because this machine lacks it: %s.", strings.Join(r.Missing, ", "))
	}
	if plot != "" {
		p.line("\n![The main figures as bars](%s)", plot)
	}
	p.targets(r.Targets())
	p.micro(r)
	for _, t := range r.Flow {
		p.flow(t)
	}
	p.idle(r.Idle)
	p.contacts(r)
	p.rooms(r.Rooms)
	p.pubsub(r)
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) targets(list []Target) {
	if len(list) == 0 {
		return
	}
	p.line("\n## What this library is built to reach\n")
	p.table("", "promise", "measured", "")
	for _, t := range list {
		met := "met"
		if !t.Met {
			met = "**missed**"
		}
		p.row(t.What, t.Promise, t.Measured, met)
	}
}

func (p *page) micro(r *Results) {
	if len(r.Decode) > 0 {
		p.section("Decode", fmt.Sprintf("From a stream's bytes to what a user of the library gets: %d stanzas of %.0f bytes on average "+
			"(70 %% chat messages with body, receipt request, marker, ids, some with a delay; 20 %% presence with capabilities and avatar hash; "+
			"10 %% roster and disco results; some not ASCII), through an `io.Reader`, no sockets. Times are for one stanza.",
			micro.Stanzas, r.Decode[0].Bytes), "decode")
		p.figures(r.Decode, "ours", true)
	}
	if len(r.Encode) > 0 {
		p.section("Encode", "Building one chat message (to, id, type, a body with `&`, `<` and letters outside ASCII; receipt request; origin-id) and making bytes of it.", "encode")
		p.figures(r.Encode, "ours", false)
	}
	if len(r.Serialise) > 0 {
		p.section("Serialise", "Bytes from the trees of the decode corpus, which exist already. Times are for one stanza.", "serialise")
		p.figures(r.Serialise, "ours", true)
	}
	if len(r.JID) > 0 {
		p.section("Addresses", "Parsing and printing a JID; parsing includes the preparation of RFC 7622.", "jid")
		p.table("", "library", "ratio", "ns", "allocations")
		for _, f := range r.JID {
			_, what, _ := strings.Cut(f.Name, ": ")
			ours, _ := figure(r.JID, "ours: "+what)
			p.row(what, f.Module, times(f.NS/ours.NS), ns(f.NS), number(f.Allocs))
		}
	}
	if len(r.SCRAM) > 0 {
		p.section("SCRAM", "One SCRAM-SHA-256 exchange with 4,096 iterations, the other side's few microseconds included. "+
			"A stream keeps the derived keys (never the password), so that a reconnect need not derive them again.", "scram")
		p.figures(r.SCRAM, "ours, first", false)
	}
}

// figures writes one table; base names the row that is 1.00.
func (p *page) figures(list []micro.Figure, base string, bytes bool) {
	one, _ := figure(list, base)
	head := []string{"", "library", "yields", "time", "ns"}
	if bytes {
		head = append(head, "MB/s")
	}
	p.table(append(head, "allocations")...)
	for _, f := range list {
		cells := []string{f.Name, f.Module, f.Yields, times(f.NS / one.NS), ns(f.NS)}
		if bytes {
			cells = append(cells, fmt.Sprintf("%.0f", f.Bytes/f.NS*1000))
		}
		p.row(append(cells, number(f.Allocs))...)
	}
	for _, f := range list {
		if f.Remark != "" {
			p.line("\n%s: %s.", f.Name, f.Remark)
		}
	}
}

var flowText = map[string][2]string{
	"sink":   {"Out, into a sink", "A server of our own in a process of its own accepts the login (TLS 1.3) and then only counts: the client is the limit."},
	"source": {"In, from a source", "The same server pours messages that it holds ready as bytes, the same for every client, as fast as the client takes them."},
}

func (p *page) flow(t flow.Table) {
	title, text, only := "Through "+t.Name, "", "sink"
	if known, ok := flowText[t.Name]; ok {
		title, text, only = known[0], known[1], t.Name
	} else {
		only, _, _ = strings.Cut(strings.ToLower(t.Name), " ")
		text = "One process sends, another receives, over TLS 1.3 on loopback, through the server's plainest host. " +
			"Messages a second count from the first one sent to the last one received. Where the server is the limit, compare the processor time. " +
			"What stream management costs the server itself is seen in its own processor time, and in the two rows without a library."
	}
	p.section(title, fmt.Sprintf("%s Chat messages with a body of about 95 characters and an origin-id, %d of them; median of %d runs. "+
		"Processor time is that of the client's process, user and system, login excluded.", text, t.Messages, t.Rounds), only)
	one, _ := row(t, "ours")
	// A side that was not measured has no columns.
	sides := []struct {
		name string
		of   func(flow.Row) float64
	}{
		{"CPU out", func(row flow.Row) float64 { return row.Out }},
		{"CPU in", func(row flow.Row) float64 { return row.In }},
		{"CPU server", func(row flow.Row) float64 { return row.Server }},
	}
	head := []string{"client", "messages/s", "", "least – most"}
	for i, side := range slices.Backward(sides) {
		if !slices.ContainsFunc(t.Rows, func(row flow.Row) bool { return side.of(row) > 0 }) {
			sides = slices.Delete(sides, i, i+1)
		}
	}
	for _, side := range sides {
		head = append(head, side.name, "µs")
	}
	p.table(head...)
	for _, row := range t.Rows {
		cells := []string{row.Module, "no figures: the run failed", "", ""}
		if row.Failed == "" {
			cells = []string{row.Module, times(row.Rate / one.Rate), thousands(row.Rate), thousands(row.Least) + " – " + thousands(row.Most)}
		}
		for _, side := range sides {
			cells = append(cells, times(side.of(row)/side.of(one)), micros(side.of(row)))
		}
		p.row(cells...)
	}
	for _, row := range t.Rows {
		if row.Remark != "" {
			p.line("\n%s: %s.", row.Module, row.Remark)
		}
	}
}

func (p *page) idle(list []flow.IdleTable) {
	if len(list) == 0 {
		return
	}
	p.section("Idle streams", "Logged-in streams in one process, TLS and everything else included, divided by their number; heap after garbage collection. "+
		"The row of a single stream includes what a process has only once.", "idle")
	p.table("streams", "server", "library", "heap", "KiB of heap", "KiB of stack", "goroutines")
	for _, t := range list {
		one := 0.0
		for _, row := range t.Rows {
			if row.Client == "ours" {
				one = row.Heap
			}
		}
		for _, row := range t.Rows {
			if row.Failed != "" {
				p.row(fmt.Sprint(t.Streams), t.Server, row.Module, "no figures: the run failed", "", "", "")
				continue
			}
			p.row(fmt.Sprint(t.Streams), t.Server, row.Module, times(row.Heap/one),
				fmt.Sprintf("%.1f", row.Heap), fmt.Sprintf("%.1f", row.Stack), fmt.Sprintf("%.2f", row.Goroutines))
		}
	}
}

// times writes a ratio, nothing where a side was not measured.
func times(v float64) string {
	switch {
	case v != v || v > 1e9 || v <= 0:
		return ""
	case v < 0.01:
		return fmt.Sprintf("%.4f", v)
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func ns(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return thousands(v)
}

func micros(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", v)
}

func number(v float64) string {
	if v < 0 {
		return ""
	}
	if v < 0.05 {
		return "0"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

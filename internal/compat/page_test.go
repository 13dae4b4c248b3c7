package compat

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
)

var update = flag.Bool("update", false, "write docs/compatibility.md")

const page = "../../docs/compatibility.md"

// The parts of the page that are measured, each between a line of its own and the end.
const (
	begin = "<!-- measured: make compatibility -->\n"
	end   = "<!-- end -->\n"
)

// place is a cell: the table, the row, and the head of the column.
type place struct{ table, row, column string }

// table is one of the page.
type table struct {
	title, first string
	rows         []string
}

const tripsOf = "Round trips: "

// parts are the tables, in the order of the page.
func parts() (matrix, counts []table) {
	var rows, kinds []string
	for _, r := range mechanismRows() {
		rows = append(rows, r.name)
	}
	rows = append(rows, stepRows()...)
	for _, t := range trips() {
		kinds = append(kinds, t.name)
	}
	for _, w := range ways {
		matrix = append(matrix, table{string(w), "", rows})
		counts = append(counts, table{tripsOf + string(w), "login", kinds})
	}
	matrix = append(matrix, table{"Components", "", componentRows()})
	return matrix, append(counts, table{tripsOf + "components", "login", []string{"XEP-0114"}})
}

func render(tables []table, cells map[place]string) string {
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, "\n### %s\n\n| %s | %s |\n|%s\n", t.title, t.first, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)+1))
		for _, r := range t.rows {
			fmt.Fprintf(&b, "| %s |", r)
			for _, c := range columns {
				fmt.Fprintf(&b, " %s |", cells[place{t.title, r, c}])
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("\n")
	return b.String()
}

// parse reads the cells of a page.
func parse(text string) map[place]string {
	cells := map[place]string{}
	title, heads := "", []string(nil)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if head, ok := strings.CutPrefix(line, "### "); ok {
			title, heads = head, nil
		}
		if !strings.HasPrefix(line, "|") || title == "" || strings.HasPrefix(line, "|---") {
			continue
		}
		row := strings.Split(strings.Trim(line, "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if heads == nil {
			heads = row
			continue
		}
		for i, c := range row[1:] {
			cells[place{title, row[0], heads[i+1]}] = c
		}
	}
	return cells
}

// results are filled in by several sites at once.
type results struct {
	t     *testing.T
	mu    sync.Mutex
	cells map[place]string
	sites []string
}

func (r *results) set(table, row, column, cell string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cells[place{table, row, column}] = strings.ReplaceAll(cell, "|", "/")
}

// measure fills in the column of a site.
func (r *results) measure(t *testing.T, s *site) {
	var wg sync.WaitGroup
	for _, w := range ways {
		wg.Go(func() {
			v := &visit{site: s, way: w, streams: map[openKey]*open{}}
			defer v.end()
			for _, row := range mechanismRows() {
				r.set(string(w), row.name, s.name, v.mechanism(row))
			}
			for row, cell := range v.steps(t.Context()) {
				r.set(string(w), row, s.name, cell)
			}
			for _, trip := range trips() {
				cell, err := v.trips(trip)
				if err != nil {
					t.Error(err)
				}
				r.set(tripsOf+string(w), trip.name, s.name, cell)
			}
		})
	}
	for row, cell := range s.components(t.Context()) {
		r.set("Components", row, s.name, cell)
	}
	cell, err := s.componentTrips()
	if err != nil {
		t.Error(err)
	}
	r.set(tripsOf+"components", "XEP-0114", s.name, cell)
	wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sites = append(r.sites, s.name)
}

// TestIntegrationCompatibility tries every way into every server, and holds docs/compatibility.md against what it finds; with -update it writes the page.
func TestIntegrationCompatibility(t *testing.T) {
	testkit.Goroutines(t)
	r := &results{t: t, cells: map[place]string{}}
	var servers []*integration.Server
	integration.Each(t, func(_ *testing.T, srv *integration.Server) { servers = append(servers, srv) })
	t.Run("sites", func(t *testing.T) { // which closes what is in the process
		var wg sync.WaitGroup
		wg.Go(func() { r.measure(t, processSite(t)) })
		for _, srv := range servers { // at once: they mostly wait
			wg.Go(func() { r.measure(t, realSite(t, srv)) })
		}
		wg.Wait()
	})
	for at, cell := range r.cells {
		// Where a session goes on with the login, that takes one round trip after TLS, and after the upgrade of WebSocket.
		w, ok := strings.CutPrefix(at.table, tripsOf)
		want := " / 1"
		if w == string(webSocket) {
			want = " / 2"
		}
		if ok && at.row == shortest && r.cells[place{w, rowInline, at.column}] == yes && cell != unused && !strings.HasSuffix(cell, want) {
			t.Errorf("%v: %s, want %s", at, cell, want)
		}
	}
	if got := r.cells[place{tripsOf + string(directTLS), shortest, inProcess}]; got != "2 / 1" {
		t.Errorf("%s over direct TLS: %s, want 2 / 1", shortest, got)
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		r.write(b)
		return
	}
	want := parse(string(b))
	for at, cell := range r.cells {
		if want[at] != cell {
			t.Errorf("%s, %s, %s: measured %q, docs/compatibility.md has %q; make compatibility writes it", at.table, at.row, at.column, cell, want[at])
		}
	}
}

// write replaces what is between the marks.
func (r *results) write(b []byte) {
	if len(r.sites) != len(columns) {
		r.t.Fatalf("only %q were measured", r.sites)
	}
	matrix, counts := parts()
	var out bytes.Buffer
	for i, tables := range [][]table{matrix, counts} {
		before, rest, ok := bytes.Cut(b, []byte(begin))
		_, after, closed := bytes.Cut(rest, []byte(end))
		if !ok || !closed {
			r.t.Fatalf("part %d of docs/compatibility.md is not marked", i+1)
		}
		fmt.Fprintf(&out, "%s%s%s%s", before, begin, render(tables, r.cells), end)
		b = after
	}
	out.Write(b)
	if err := os.WriteFile(page, out.Bytes(), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// TestPage: the page has the cells that are measured, and no others; none is empty.
func TestPage(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	cells := parse(string(b))
	matrix, counts := parts()
	n := 0
	for _, tab := range slices.Concat(matrix, counts) {
		for _, row := range tab.rows {
			for _, c := range columns {
				if n++; cells[place{tab.title, row, c}] == "" {
					t.Errorf("%s, %s, %s: no cell", tab.title, row, c)
				}
			}
		}
	}
	if len(cells) != n {
		t.Errorf("%d cells, want %d: there are others", len(cells), n)
	}
}

package compat

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
)

// others are the fields of Config that have nothing to do with getting in.
var others = []string{
	"NewID", "IQTimeout", "CloseTimeout", "WriteTimeout", "KeepAlive", "KeepAliveCharacter", "MaxPause",
	"MaxStanzaBytes", "MaxStanzaBytesBeforeLogin", "MaxDepth", "MaxAttributes", "MaxNamespaces", "ResetByteCounters", "Logger", "OnPanic",
}

// TestOptions: each field of Config about connecting and logging in has a row in docs/login.md, and each row is a field.
func TestOptions(t *testing.T) {
	b, err := os.ReadFile("../../docs/login.md")
	if err != nil {
		t.Fatal(err)
	}
	_, options, ok := strings.Cut(string(b), "\n## Options\n")
	options, _, closed := strings.Cut(options, "\n## ")
	if !ok || !closed {
		t.Fatal("docs/login.md has no options")
	}
	var rows []string
	row, name := regexp.MustCompile("(?m)^\\| (`[^|]*) \\|.*$"), regexp.MustCompile("`(\\w+)`")
	for _, m := range row.FindAllStringSubmatch(options, -1) {
		if n := strings.Count(m[0], "|"); n != 7 {
			t.Errorf("%d columns: %s", n-1, m[0])
		}
		for _, n := range name.FindAllStringSubmatch(m[1], -1) {
			rows = append(rows, n[1])
		}
	}
	config := reflect.TypeFor[xmpp.Config]()
	for f := range config.Fields() {
		if slices.Contains(rows, f.Name) == slices.Contains(others, f.Name) {
			t.Errorf("Config.%s: it has a row in docs/login.md, or is among the others", f.Name)
		}
	}
	for _, n := range slices.Concat(rows, others) {
		if _, ok := config.FieldByName(n); !ok {
			t.Errorf("there is no Config.%s", n)
		}
	}
}

// TestLoginTrips: the table of round trips in docs/login.md has the numbers that were measured.
func TestLoginTrips(t *testing.T) {
	b, err := os.ReadFile("../../docs/login.md")
	if err != nil {
		t.Fatal(err)
	}
	measured, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	cells := parse(string(measured))
	for _, trip := range trips() {
		login, pipelined := strings.CutSuffix(trip.name, ", pipelined")
		m := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(login) + ` \|.*\| (\d+) \| (\d+) \|$`).FindStringSubmatch(string(b))
		if m == nil {
			t.Errorf("no row for %s", login)
			continue
		}
		got := m[1]
		if pipelined {
			got = m[2]
		}
		want, _, _ := strings.Cut(cells[place{tripsOf + string(directTLS), trip.name, inProcess}], " /")
		if got != want {
			t.Errorf("%s: docs/login.md has %s round trips, measured were %s", trip.name, got, want)
		}
	}
}

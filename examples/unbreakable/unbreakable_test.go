package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// row is the number in a row of the table, -1 if there is none.
func row(out, name string) int {
	m := regexp.MustCompile(`(?m)^` + name + ` +(\d+)`).FindStringSubmatch(out)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	texts := 0
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		switch tok, err := d.Token(); {
		case errors.Is(err, io.EOF):
			if texts == 0 {
				t.Error("the picture is empty")
			}
			return
		case err != nil:
			t.Fatalf("the picture: %v\n%s", err, svg)
		default:
			if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "text" {
				texts++
			}
		}
	}
}

func TestRun(t *testing.T) {
	for name, o := range map[string]options{
		"cuts":    {messages: 300, cuts: 6, rate: 600, seed: 1},
		"restart": {messages: 300, cuts: 6, rate: 600, seed: 2, restart: true},
		"no cuts": {messages: 20, rate: 1000, terminal: true},
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			o.svg = filepath.Join(t.TempDir(), "run.svg")
			var b bytes.Buffer
			if err := run(ctx, o, &b); err != nil {
				t.Errorf("%v\n%s", err, b.String())
			}
			out := b.String()
			for name, want := range map[string]int{"sent": o.messages, "acked": o.messages, "received": o.messages, "delivered twice": 0, "lost": 0} {
				if got := row(out, name); got != want {
					t.Errorf("%s: got %d, want %d", name, got, want)
				}
			}
			// The budget may not be used up, and each loss of a session is resumed, or answered by a new one.
			cut, resumed, begun := row(out, "cut"), row(out, "resumed"), row(out, "new sessions")
			switch {
			case o.cuts > 0 && cut < 1, cut > o.cuts+1, resumed+begun != cut+1, o.restart != (begun > 1):
				t.Errorf("%d cuts, %d resumptions, %d new sessions", cut, resumed, begun)
			case o.restart && row(out, "resent") < 1, o.cuts > 0 && row(out, "replayed") < 1:
				t.Error("nothing was sent again")
			}
			if t.Failed() {
				t.Log(out)
			}
			svg, err := os.ReadFile(o.svg)
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, svg)
			for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
			}
		})
	}
}

// TestVerdict: the program must be able to fail.
func TestVerdict(t *testing.T) {
	fine := func() *score {
		s := newScore(2)
		s.sent, s.got, s.ends[xmpp.ReceiptAcked] = 2, map[int]bool{0: true, 1: true}, 2
		return s
	}
	for name, break1 := range map[string]func(*score){
		"lost":           func(s *score) { delete(s.got, 0) },
		"twice":          func(s *score) { s.twice = 1 },
		"unknown":        func(s *score) { s.ends = map[xmpp.ReceiptState]int{xmpp.ReceiptAcked: 1, xmpp.ReceiptUnknown: 1} },
		"not all waited": func(s *score) { s.ends[xmpp.ReceiptAcked] = 1 },
	} {
		s := fine()
		if err := s.verdict(); err != nil {
			t.Fatal(err)
		}
		if break1(s); s.verdict() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestPicture draws what runs rarely have.
func TestPicture(t *testing.T) {
	for name, p := range map[string]plot{
		"nothing":      {title: `<&"`},
		"never there":  {points: []point{{at: time.Hour}}},
		"many points":  {points: many(100_000)},
		"cut at last":  {points: many(10), marks: []mark{{at: 1, back: true}, {at: 2}}},
		"cut in a row": {points: many(10), marks: []mark{{at: 1}, {at: 2}, {at: 3, back: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			svg := p.draw()
			wellFormed(t, svg)
			if len(svg) > 100_000 || bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
				t.Errorf("%d bytes: %.2000s", len(svg), svg)
			}
		})
	}
	for _, c := range []struct {
		most float64
		n    int
		want float64
	}{{0, 5, 1}, {10, 10, 1}, {2000, 5, 500}, {103, 3, 50}, {5250, 3, 2000}, {0.5, 5, 0.1}} {
		if got := step(c.most, c.n); got < c.want*0.999 || got > c.want*1.001 {
			t.Errorf("step(%g, %d): got %g, want %g", c.most, c.n, got, c.want)
		}
	}
	if got := thousands(1234567) + " " + thousands(999); got != "1,234,567 999" {
		t.Error(got)
	}
}

func many(n int) []point {
	out := make([]point, n)
	for i := range out {
		out[i] = point{at: time.Duration(i) * 20 * time.Millisecond, sent: 3 * i, acked: 2 * i, received: 3 * i}
	}
	return out
}

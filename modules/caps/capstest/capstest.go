// Package capstest tests implementations of [caps.Storage].
package capstest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
)

// TestStorage tests an implementation, in subtests. place makes an empty place to store in, whose resources end with the test,
// and returns what opens it: each call stands for a process of its own, which comes after the one before.
// With -short the large cases are smaller.
func TestStorage(t *testing.T, place func(t *testing.T) (open func() caps.Storage)) {
	for _, tt := range []struct {
		name string
		f    func(*testing.T, func() caps.Storage)
	}{
		{"nothing", nothing}, {"save", save}, {"keys", keys}, {"characters", characters}, {"accounts", accounts},
		{"trim", trim}, {"use", use}, {"many", many}, {"at once", atOnce}, {"replace at once", replaceAtOnce},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.f(t, place(t)) })
	}
}

var (
	juliet = xmpp.MustParseJID("juliet@example.test")
	ctx    = context.Background()
)

// size is how much of something there is: less with -short.
func size(n int) int {
	if testing.Short() {
		return n / 8
	}
	return n
}

func hash(n int) caps.Hash {
	return caps.Hash{NS: caps.NS, Algo: "sha-1", Value: fmt.Sprintf("%027d=", n)}
}

func xml(n int) string { return fmt.Sprintf(`<query xmlns="urn:%d"/>`, n) }

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// check compares what is stored with what should be.
func check(t *testing.T, s caps.Storage, account xmpp.JID, h caps.Hash, want string) {
	t.Helper()
	got, err := s.Load(ctx, account, h)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if got != want {
		t.Fatalf("Load of %v: %.200q, want %.200q", h, got, want)
	}
}

func nothing(t *testing.T, open func() caps.Storage) {
	s := open()
	check(t, s, juliet, hash(1), "")
	must(t, "Trim", s.Trim(ctx, juliet, 0))
	must(t, "Clear", s.Clear(ctx, juliet))
	check(t, open(), juliet, hash(1), "")
}

func save(t *testing.T, open func() caps.Storage) {
	s := open()
	must(t, "Save", s.Save(ctx, juliet, hash(1), xml(1)))
	check(t, s, juliet, hash(1), xml(1))
	check(t, open(), juliet, hash(1), xml(1))
	check(t, s, juliet, hash(2), "")
	must(t, "Save", open().Save(ctx, juliet, hash(1), xml(2)))
	check(t, open(), juliet, hash(1), xml(2))
	must(t, "Clear", open().Clear(ctx, juliet))
	check(t, open(), juliet, hash(1), "")
}

// keys: every part of a hash counts, and case does.
func keys(t *testing.T, open func() caps.Storage) {
	s := open()
	var all []caps.Hash
	for _, x := range [][3]string{
		{caps.NS, "sha-1", "abc="}, {caps.NS2, "sha-1", "abc="}, {caps.NS, "sha-256", "abc="}, {caps.NS, "sha-1", "ABC="},
		{caps.NS, "sha-1", "abc"}, {caps.NS, "sha-1a", "bc="}, {caps.NS + "sha-1", "", "abc="}, {"", "", ""},
	} {
		all = append(all, caps.Hash{NS: x[0], Algo: x[1], Value: x[2]})
	}
	for i, h := range all {
		must(t, "Save", s.Save(ctx, juliet, h, xml(i)))
	}
	s = open()
	for i, h := range all {
		check(t, s, juliet, h, xml(i))
	}
}

func characters(t *testing.T, open func() caps.Storage) {
	s := open()
	h := caps.Hash{NS: "urn:\u00e4'\"\\;--%", Algo: "\U0001F600 \t\n$1 ?", Value: strings.Repeat("x", 1000) + "\u2028"}
	text := "<query xmlns='x'>\n\t&lt;\u2028\u00e9\U0001F600'\"\\0%s\u0085\r\n</query>" + strings.Repeat("<f/>", 20_000)
	must(t, "Save", s.Save(ctx, juliet, h, text))
	check(t, s, juliet, h, text)
	check(t, open(), juliet, h, text)
}

func accounts(t *testing.T, open func() caps.Storage) {
	s := open()
	all := []xmpp.JID{juliet, xmpp.MustParseJID("romeo@example.test"), xmpp.MustParseJID("juliet@example.net"), xmpp.MustParseJID("\u00fc%_\\$x@example.test"), xmpp.MustParseJID("juli%65t@example.test")}
	for i, j := range all {
		for n := range 3 {
			must(t, "Save", s.Save(ctx, j, hash(n), xml(10*i+n)))
		}
	}
	must(t, "Clear", s.Clear(ctx, all[1]))
	must(t, "Trim", s.Trim(ctx, all[2], 1))
	s = open()
	for i, j := range all {
		for n := range 3 {
			want := xml(10*i + n)
			if i == 1 || i == 2 && n < 2 {
				want = ""
			}
			check(t, s, j, hash(n), want)
		}
	}
}

func trim(t *testing.T, open func() caps.Storage) {
	s := open()
	for n := range 20 {
		must(t, "Save", s.Save(ctx, juliet, hash(n), xml(n)))
	}
	must(t, "Trim", s.Trim(ctx, juliet, 20))
	must(t, "Trim", s.Trim(ctx, juliet, 15))
	s = open()
	must(t, "Trim", s.Trim(ctx, juliet, 10))
	for n := range 20 {
		want := ""
		if n >= 10 {
			want = xml(n)
		}
		check(t, s, juliet, hash(n), want)
	}
	must(t, "Trim", s.Trim(ctx, juliet, 0))
	check(t, open(), juliet, hash(19), "")
}

// use: what was loaded, or saved again, is not the oldest any more, in another process too.
func use(t *testing.T, open func() caps.Storage) {
	s := open()
	for n := range 6 {
		must(t, "Save", s.Save(ctx, juliet, hash(n), xml(n)))
	}
	s = open()
	check(t, s, juliet, hash(0), xml(0))
	must(t, "Save", s.Save(ctx, juliet, hash(2), xml(2)))
	s = open()
	must(t, "Trim", s.Trim(ctx, juliet, 3))
	for n := range 6 {
		want := ""
		if n == 0 || n == 2 || n == 5 {
			want = xml(n)
		}
		check(t, s, juliet, hash(n), want)
	}
}

// many are as many as the module keeps.
func many(t *testing.T, open func() caps.Storage) {
	s := open()
	n := size(2000)
	for i := range n {
		must(t, "Save", s.Save(ctx, juliet, hash(i), xml(i)))
	}
	s = open()
	must(t, "Trim", s.Trim(ctx, juliet, n/2))
	for i := 0; i < n; i += 7 {
		want := xml(i)
		if i < n/2 {
			want = ""
		}
		check(t, s, juliet, hash(i), want)
	}
}

func atOnce(t *testing.T, open func() caps.Storage) {
	s := open()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			j := juliet
			if i%2 == 1 {
				j = xmpp.MustParseJID(fmt.Sprintf("user%d@example.test", i))
			}
			for n := range 25 {
				if err := s.Save(ctx, j, hash(100*i+n), xml(100*i+n)); err != nil {
					t.Error(err)
				}
				if got, err := s.Load(ctx, j, hash(100*i+n)); err != nil || got != xml(100*i+n) {
					t.Errorf("%q, %v", got, err)
				}
			}
			if err := s.Trim(ctx, j, 1000); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := 0; i < 8; i += 2 {
		check(t, open(), juliet, hash(100*i+24), xml(100*i+24))
	}
}

// replaceAtOnce: who reads while another writes gets the one or the other, whole.
func replaceAtOnce(t *testing.T, open func() caps.Storage) {
	s := open()
	texts := []string{strings.Repeat("a", 50_000), strings.Repeat("b", 70_000)}
	must(t, "Save", s.Save(ctx, juliet, hash(1), texts[0]))
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range 40 {
			if err := s.Save(ctx, juliet, hash(1), texts[n%2]); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 40 {
			if got, err := s.Load(ctx, juliet, hash(1)); err != nil || got != texts[0] && got != texts[1] {
				t.Errorf("%.20q and so on, %d bytes, %v", got, len(got), err)
			}
		}
	})
	wg.Wait()
}

package sm_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/modules/sm/smtest"
)

func TestMemory(t *testing.T) {
	smtest.TestStorage(t, func(t *testing.T) func() sm.Storage {
		m := sm.MemoryStorage()
		return func() sm.Storage { return m }
	})
}

func TestFiles(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprint("sync ", sync), func(t *testing.T) {
			smtest.TestStorage(t, func(t *testing.T) func() sm.Storage {
				dir := filepath.Join(t.TempDir(), "a", "b")
				return func() sm.Storage {
					f := sm.FileStorage(dir)
					f.Sync = sync
					return f
				}
			})
		})
	}
}

var account = xmpp.MustParseJID("juliet@example.test")

// stored makes a file of a state and some changes, and returns its path and what it holds after each.
func stored(t *testing.T) (f *sm.Files, path string, states []*sm.State, ends []int64) {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	f = sm.FileStorage(dir)
	st := &sm.State{Session: sm.Session{ID: "x", JID: account}, Unacked: []sm.Stanza{{XML: "<message/>", Time: time.Unix(1, 0).UTC()}}, Updated: time.Unix(2, 0).UTC()}
	if err := f.Save(ctx, account, st); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	path = files[0]
	for i := range 4 {
		if i > 0 {
			c := &sm.Change{Sent: []sm.Stanza{{XML: fmt.Sprint("<message id='", i, "'/>"), Time: time.Unix(int64(i), 0).UTC()}}, Handled: uint32(i), Updated: time.Unix(3, 0).UTC()}
			if err := f.Append(ctx, account, c); err != nil {
				t.Fatal(err)
			}
			if err := st.Apply(c); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("others may read it: %v", info.Mode())
		}
		states, ends = append(states, st.Copy()), append(ends, info.Size())
	}
	return f, path, states, ends
}

// TestFilesTorn cuts a file at every byte, as a process does that is killed while it writes:
// what is loaded is what was there before the record that is torn, and the next process goes on from there.
func TestFilesTorn(t *testing.T) {
	ctx := context.Background()
	_, path, states, ends := stored(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := ends[0]; cut <= ends[len(ends)-1]; cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		for n+1 < len(ends) && ends[n+1] <= cut {
			n++
		}
		f := sm.FileStorage(filepath.Dir(path))
		got, err := f.Load(ctx, account)
		if err != nil || !reflect.DeepEqual(got, states[n]) {
			t.Fatalf("cut at %d: %+v, %v; want %+v", cut, got, err, states[n])
		}
		if err := f.Append(ctx, account, &sm.Change{Handled: 99}); err != nil {
			t.Fatal(err)
		}
		if got, err := sm.FileStorage(filepath.Dir(path)).Load(ctx, account); err != nil || got.Handled != 99 || len(got.Unacked) != len(states[n].Unacked) {
			t.Fatalf("cut at %d, and gone on: %+v, %v", cut, got, err)
		}
	}
}

// TestFilesDamaged changes every byte but those of the last record: that is an error, or it changes nothing.
func TestFilesDamaged(t *testing.T) {
	ctx := context.Background()
	f, path, states, ends := stored(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ends[len(ends)-2] {
		if whole[i] == '\n' {
			continue // two records in one are as if the last were torn
		}
		b := append([]byte(nil), whole...)
		b[i] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Load(ctx, account); err == nil && !reflect.DeepEqual(got, states[len(states)-1]) {
			t.Fatalf("byte %d: %+v", i, got)
		}
	}
	other := xmpp.MustParseJID("romeo@example.test")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(ctx, other, states[0]); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err := f.Load(ctx, other); err == nil {
		t.Errorf("another account's state: %+v", st)
	}
	if st, err := f.Load(ctx, account); st != nil || err != nil {
		t.Errorf("%+v, %v", st, err)
	}
	if err := f.Append(ctx, account, &sm.Change{}); err == nil {
		t.Error("appended to nothing")
	}
}

// TestFilesCompact: a file does not grow for ever, and nothing but it is left in the folder.
func TestFilesCompact(t *testing.T) {
	ctx := context.Background()
	f, path, _, _ := stored(t)
	c := &sm.Change{Sent: []sm.Stanza{{XML: strings.Repeat("x", 1000)}}}
	largest := int64(0)
	for n := range uint32(3000) {
		c.Acked = 4 + n // one stays
		if err := f.Append(ctx, account, c); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	if largest > 300<<10 {
		t.Errorf("%d bytes", largest)
	}
	if st, err := f.Load(ctx, account); err != nil || len(st.Unacked) != 1 || st.Acked != 3003 {
		t.Errorf("%+v, %v", st, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := f.Clear(ctx, account); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestFilesUnwritable reports what the system says.
func TestFilesUnwritable(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := sm.FileStorage(file) // which is no folder
	if _, err := f.Load(ctx, account); err == nil {
		t.Error("loaded")
	}
	if err := f.Save(ctx, account, &sm.State{}); err == nil {
		t.Error("saved")
	}
	if err := f.Append(ctx, account, &sm.Change{}); err == nil {
		t.Error("appended")
	}
	if err := f.Clear(ctx, account); err == nil {
		t.Error("cleared")
	}
}

func BenchmarkFilesAppend(b *testing.B) {
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprint("sync=", sync), func(b *testing.B) {
			ctx := context.Background()
			f := sm.FileStorage(b.TempDir())
			f.Sync = sync
			if err := f.Save(ctx, account, &sm.State{}); err != nil {
				b.Fatal(err)
			}
			c := &sm.Change{Sent: []sm.Stanza{{XML: strings.Repeat("x", 200)}}}
			for b.Loop() {
				c.Acked++
				if err := f.Append(ctx, account, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

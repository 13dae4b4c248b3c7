package sqlstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
)

// work is what another process does, one step after the other: what is there must be consistent, whenever it is looked at.
// The steps go on where the database is.
type work struct {
	at    func(ctx context.Context, db *sqlstore.DB) (step int, err error) // the last that was done
	step  func(ctx context.Context, db *sqlstore.DB, n int) error
	check func(t *testing.T, db *sqlstore.DB, n int) // that n is all that was done
	whole func(t *testing.T, db *sqlstore.DB) int    // that some steps are done, and none is half; nil if two cannot do it at once
}

var works = map[string]work{
	"sm":      {smAt, smStep, smCheck, nil},
	"roster":  {rosterAt, rosterStep, rosterCheck, whole},
	"avatars": {avatarsAt, avatarsStep, avatarsCheck, nil},
	"rooms":   {roomsAt, roomsStep, roomsCheck, wholeRooms},
}

// process does a work until it is killed, or so many steps, and prints each that was done. With several others at the same work it tries again.
func process(args string) error {
	ctx := context.Background()
	a := strings.SplitN(args, " ", 3)
	w, many := works[a[0]], 0
	if _, err := fmt.Sscan(a[1], &many); err != nil {
		return err
	}
	db, err := sqlstore.Open(ctx, a[2], sqlstore.Config{})
	if err != nil {
		return err
	}
	n, err := w.at(ctx, db)
	for i := 0; err == nil && (many == 0 || i < many); i++ {
		switch err = w.step(ctx, db, n+1); {
		case errors.Is(err, errOther):
			n, err = w.at(ctx, db)
		case err == nil:
			n++
			fmt.Println(n)
		}
	}
	return errors.Join(err, db.Close())
}

// errOther says that another process has done the step.
var errOther = errors.New("somebody else was first")

// start starts a process.
func start(t *testing.T, stderr io.Writer, work string, steps int, source string, env ...string) (cmd *exec.Cmd, told *bufio.Scanner) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), fmt.Sprintf("TEST_SQLSTORE=%s %d %s", work, steps, source)), env...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// TestKill: a process that is killed in the middle of changes has lost none that it was told of, and left none half.
func TestKill(t *testing.T) {
	for name, w := range works {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, source string) {
				last := 0
				for round := range 6 {
					cmd, lines := start(t, os.Stderr, name, 0, source)
					for range 10 + round {
						if !lines.Scan() {
							t.Fatal("the process has ended")
						}
					}
					time.AfterFunc(time.Duration(round)*3*time.Millisecond, func() { _ = cmd.Process.Kill() })
					told := ""
					for lines.Scan() {
						told = lines.Text()
					}
					_ = cmd.Wait()
					n, _ := strconv.Atoi(told) // half a line is less
					db := open(t, source, sqlstore.Config{})
					done, err := w.at(t.Context(), db)
					if err != nil || done < n || done < last+10 {
						t.Fatalf("told %d, and %d before; stored %d, %v", n, last, done, err)
					}
					w.check(t, db, done)
					if last = done; name != "sm" {
						followed(t, db, done)
					}
					sqlstore.Sound(t, db)
					if err := db.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestTwoProcesses write the same account at once: each step is done by one of them, all are told, and whoever reads sees whole ones.
func TestTwoProcesses(t *testing.T) {
	for name, w := range works {
		if w.whole != nil {
			t.Run(name, func(t *testing.T) { testTwoProcesses(t, name, w.whole) })
		}
	}
}

func testTwoProcesses(t *testing.T, work string, whole func(t *testing.T, db *sqlstore.DB) int) {
	each(t, func(t *testing.T, source string) {
		db := open(t, source, sqlstore.Config{Poll: 20 * time.Millisecond})
		const steps = 60
		var done []<-chan int
		for range 2 {
			cmd, lines := start(t, os.Stderr, work, steps, source)
			c := make(chan int, 1)
			done = append(done, c)
			go func() {
				n := 0
				for lines.Scan() {
					n++
				}
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
				c <- n
			}()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var heard atomic.Int64
		var wg sync.WaitGroup
		wg.Go(func() {
			for c, err := range db.Changes(ctx, juliet, 0) {
				if err == nil && c.Seq != heard.Add(1) {
					t.Errorf("%+v is the %dth", c, heard.Load())
				}
			}
		})
		total := 0
		for _, c := range done {
			for n := -1; n < 0; {
				select {
				case n = <-c:
					total += n
					if n == 0 {
						t.Error("one of them has done nothing")
					}
				default:
					whole(t, db)
				}
			}
		}
		whole(t, db)
		followed(t, db, steps)
		seq, err := db.Seq(ctx, juliet)
		if err != nil {
			t.Fatal(err)
		}
		for heard.Load() < seq && ctx.Err() == nil {
			time.Sleep(2 * time.Millisecond)
		}
		cancel()
		wg.Wait()
		if n := heard.Load(); n != seq {
			t.Errorf("heard of %d changes of %d", n, seq)
		}
		t.Logf("%d steps of %d attempts", total, 2*steps)
	})
}

// followed checks that the changes of n steps can be followed from the beginning.
func followed(t *testing.T, db *sqlstore.DB, n int) {
	t.Helper()
	seq, err := db.Seq(t.Context(), juliet)
	if err != nil || seq < int64(n) {
		t.Fatalf("Seq: %d after %d steps, %v", seq, n, err)
	}
	last := int64(0)
	for c, err := range db.Changes(t.Context(), juliet, 0) {
		if err != nil || c.Seq != last+1 {
			t.Fatalf("%+v after %d, %v", c, last, err)
		}
		if last = c.Seq; last == seq {
			break
		}
	}
}

func smAt(ctx context.Context, db *sqlstore.DB) (int, error) {
	st, err := db.SM().Load(ctx, juliet)
	if err == nil && st == nil {
		return 0, db.SM().Save(ctx, juliet, &sm.State{})
	}
	if err != nil {
		return 0, err
	}
	return int(st.Handled), nil
}

// smStep: always ten under way.
func smStep(ctx context.Context, db *sqlstore.DB, n int) error {
	return db.SM().Append(ctx, juliet, &sm.Change{Handled: uint32(n), Acked: uint32(max(n-1, 10) - 10), Sent: []sm.Stanza{{XML: fmt.Sprint(n)}}})
}

func smCheck(t *testing.T, db *sqlstore.DB, n int) {
	t.Helper()
	st, err := db.SM().Load(t.Context(), juliet)
	if err != nil || st == nil {
		t.Fatal(st, err)
	}
	if uint32(len(st.Unacked)) != st.Handled-st.Acked || st.Unacked[len(st.Unacked)-1].XML != fmt.Sprint(n) {
		t.Errorf("%d handled, %d acknowledged, %d stanzas", st.Handled, st.Acked, len(st.Unacked))
	}
}

// rosterOf is the roster after n steps.
func rosterOf(n int) iter.Seq[roster.Item] {
	return func(yield func(roster.Item) bool) {
		for i := range 40 {
			if !yield(member(n+i, n+i)) {
				return
			}
		}
		yield(member(0, n))
	}
}

func member(i, v int) roster.Item {
	return roster.Item{JID: xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", i)), Name: fmt.Sprint(v), Groups: []string{fmt.Sprint(v)}}
}

func rosterAt(ctx context.Context, db *sqlstore.DB) (n int, err error) {
	version, err := db.Roster().Load(ctx, juliet, func(roster.Item) error { return nil })
	if err == nil && version != "" {
		n, err = strconv.Atoi(version)
	}
	return n, err
}

// rosterStep changes the roster, or now and then replaces it, whatever it was.
func rosterStep(ctx context.Context, db *sqlstore.DB, n int) error {
	c := &roster.Change{Version: fmt.Sprint(n)}
	switch {
	case n%5 == 0:
		return db.Roster().Save(ctx, juliet, c.Version, rosterOf(n))
	case n == 1:
		c.Put = slices.Collect(rosterOf(1))
	default:
		c.Base, c.Put, c.Remove = fmt.Sprint(n-1), []roster.Item{member(n+39, n+39), member(0, n)}, []xmpp.JID{member(n-1, 0).JID}
	}
	err := db.Roster().Apply(ctx, juliet, c)
	if errors.Is(err, roster.ErrConflict) {
		return errOther
	}
	return err
}

// whole loads the roster, and checks that it is that of its version.
func whole(t *testing.T, db *sqlstore.DB) (n int) {
	t.Helper()
	var got, want []string
	version, err := db.Roster().Load(t.Context(), juliet, func(it roster.Item) error {
		got = append(got, fmt.Sprintf("%+v", it))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if version != "" {
		n, _ = strconv.Atoi(version)
		for it := range rosterOf(n) {
			want = append(want, fmt.Sprintf("%+v", it))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("version %s: %v", version, got)
	}
	return n
}

func rosterCheck(t *testing.T, db *sqlstore.DB, n int) {
	t.Helper()
	if got := whole(t, db); got != n {
		t.Errorf("version %d, want %d", got, n)
	}
}

// avatarOf is whose avatar a step stores, and the image: each is that of two people.
func avatarOf(n int) (avatar.Record, *avatar.Image) {
	data := append([]byte("\x89PNG\r\n\x1a\n"), strings.Repeat(fmt.Sprint(n/2, " "), 2000)...)
	img := &avatar.Image{Data: data, Type: "image/png", Hash: avatar.Hash(data)}
	return avatar.Record{Of: member(n%3, 0).JID, Hash: img.Hash, Source: avatar.SourcePEP, Bytes: n, Fetched: true}, img
}

func avatarsAt(ctx context.Context, db *sqlstore.DB) (n int, err error) {
	list, err := db.Avatar().Load(ctx, juliet)
	for _, r := range list {
		n = max(n, r.Bytes)
	}
	return n, err
}

func avatarsStep(ctx context.Context, db *sqlstore.DB, n int) error {
	r, img := avatarOf(n)
	return db.Avatar().Save(ctx, juliet, r, img)
}

func avatarsCheck(t *testing.T, db *sqlstore.DB, n int) {
	t.Helper()
	list, err := db.Avatar().Load(t.Context(), juliet)
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	images := map[string]bool{}
	for _, r := range list {
		want, img := avatarOf(r.Bytes)
		if r != want || r.Bytes <= n-3 {
			t.Errorf("after %d steps: %+v", n, r)
		}
		got, err := db.Avatar().Image(t.Context(), juliet, r.Hash)
		if err != nil || got == nil || string(got.Data) != string(img.Data) {
			t.Errorf("image of %+v: %v, %v", r, got, err)
		}
		images[r.Hash] = true
	}
	if got := sqlstore.Count(t, db, "xmpp_avatar_images"); got != len(images) {
		t.Errorf("%d images are stored, %d are used", got, len(images))
	}
}

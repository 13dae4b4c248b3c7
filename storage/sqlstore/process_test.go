package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
)

// process is another process: it stores until it is killed, and tells after each change how far it is.
func process(source string) {
	ctx := context.Background()
	db, err := sqlstore.Open(ctx, source, sqlstore.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	st, err := db.SM().Load(ctx, juliet)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	n := uint32(0)
	if st != nil {
		n = st.Handled
	} else if err := db.SM().Save(ctx, juliet, &sm.State{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		// Always ten under way: what is there must be consistent, whenever it is looked at.
		c := &sm.Change{Handled: n + 1, Acked: max(n, 10) - 10, Sent: []sm.Stanza{{XML: fmt.Sprint(n)}}}
		if err := db.SM().Append(ctx, juliet, c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		n++
		fmt.Println(n)
	}
}

// TestKill: a process that is killed in the middle of changes has lost none that it was told of, and left none half.
func TestKill(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, source string) {
		last := uint32(0)
		for round := range 10 {
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), "TEST_SQLSTORE="+source)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for range 20 + round {
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
			var n uint32
			if _, err := fmt.Sscan(told, &n); told != "" && err != nil {
				n = 0 // half a line: the one before is not known
			}
			db := open(t, source, sqlstore.Config{})
			st, err := db.SM().Load(t.Context(), juliet)
			if err != nil || st == nil {
				t.Fatal(st, err)
			}
			if st.Handled < n || st.Handled < last {
				t.Errorf("told %d and %d before, stored %d", n, last, st.Handled)
			}
			if uint32(len(st.Unacked)) != st.Handled-st.Acked || st.Unacked[len(st.Unacked)-1].XML != fmt.Sprint(st.Handled-1) {
				t.Errorf("%d handled, %d acknowledged, %d stanzas, the last is %v", st.Handled, st.Acked, len(st.Unacked), st.Unacked[len(st.Unacked)-1])
			}
			last = st.Handled
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

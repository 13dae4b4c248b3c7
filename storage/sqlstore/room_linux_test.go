package sqlstore_test

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/go-xmppframework/xmpp/storage/sqlstore"
)

// roomEnv is how many bytes a file may have that another process writes.
const roomEnv = "TEST_SQLSTORE_ROOM"

func init() {
	if n, _ := strconv.ParseUint(os.Getenv(roomEnv), 10, 64); n > 0 {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
}

// TestNoRoom: a process for whose next write there is no room fails, and leaves what it was told is done; the next one goes on with it.
func TestNoRoom(t *testing.T) {
	sqlstore.CheckGoroutines(t)
	source := filepath.Join(t.TempDir(), "x.db")
	last := 0
	for _, room := range []int{300_000, 450_000, 0} {
		var errs bytes.Buffer
		cmd, lines := start(t, &errs, "avatars", 30, source, fmt.Sprintf("%s=%d", roomEnv, room))
		told := last
		for lines.Scan() {
			told, _ = strconv.Atoi(lines.Text())
		}
		if err := cmd.Wait(); room > 0 && (err == nil || !strings.Contains(errs.String(), "sqlstore: ")) || room == 0 && err != nil {
			t.Errorf("room for %d: %v, %s", room, err, &errs)
		}
		db := open(t, source, sqlstore.Config{})
		n, err := avatarsAt(t.Context(), db)
		if err != nil || n < told || told <= last {
			t.Fatalf("told %d, and %d before; stored %d, %v", told, last, n, err)
		}
		t.Logf("room for %d: %d steps; %s", room, n, &errs)
		avatarsCheck(t, db, n)
		followed(t, db, n)
		sqlstore.Sound(t, db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		last = n
	}
}

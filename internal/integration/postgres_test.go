package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPostgres: what was committed is there after SIGKILL; the folder and the processes are gone after Close.
func TestPostgres(t *testing.T) {
	p := StartPostgres(t)
	url := p.Database(t)
	psql := func(sql string) string {
		t.Helper()
		out, err := exec.Command(filepath.Join(p.bin, "psql"), "-qtAX", url, "-c", sql).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	psql("CREATE TABLE t (x text); INSERT INTO t VALUES ('é')")
	// One that is at work notices nothing.
	busy := exec.Command(filepath.Join(p.bin, "psql"), "-qtAX", url, "-c", "DO $$ BEGIN LOOP END LOOP; END $$")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	for psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'") != "1" {
		time.Sleep(5 * time.Millisecond)
	}
	p.Kill(t)
	if err := busy.Wait(); err == nil {
		t.Error("what was under way has ended well")
	}
	p.Run(t)
	if got := psql("SELECT x FROM t"); got != "é" {
		t.Errorf("read %q", got)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.dir); err == nil || len(strays(p.dir))+len(p.backends()) > 0 {
		t.Errorf("left behind: %v, %v", err, strays(p.dir))
	}
}

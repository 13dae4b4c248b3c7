package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
	p.Kill(t)
	p.Run(t)
	if got := psql("SELECT x FROM t"); got != "é" {
		t.Errorf("read %q", got)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.dir); err == nil || len(strays(p.dir)) > 0 {
		t.Errorf("left behind: %v, %v", err, strays(p.dir))
	}
}

package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Postgres is a running PostgreSQL of the distribution. It listens on a socket in its temporary folder, on no port.
type Postgres struct {
	dir  string
	bin  string   // the folder of its programs
	user []string // the command that makes another command run as the owner of the data; empty unless this is root

	mu   sync.Mutex
	proc *process
	lock *os.File
}

// postgresPrograms is where Debian has them; the database refuses to run as root and needs no command of the administrator.
const postgresPrograms = "/usr/lib/postgresql/*/bin/postgres"

// locatePostgres returns the folder of the newest programs.
func locatePostgres() (bin string, err error) {
	if runtime.GOOS != "linux" {
		return "", errors.New("PostgreSQL runs on Linux only here")
	}
	found, _ := filepath.Glob(postgresPrograms)
	if len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL: nothing is %s", postgresPrograms)
	}
	slices.SortFunc(found, func(a, b string) int { return postgresVersion(a) - postgresVersion(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

func postgresVersion(program string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(program))))
	return n
}

// StartPostgres starts a PostgreSQL for this test alone: one that may be killed and started again. It is gone at the test's end.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	checkPostgres(t)
	p, err := launchPostgres()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// SharedPostgres returns the program's PostgreSQL, which it starts at the first call; Main stops it.
func SharedPostgres(t testing.TB) *Postgres {
	t.Helper()
	checkPostgres(t)
	p, err := sharedPostgres()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var sharedPostgres = sync.OnceValues(launchPostgres)

func checkPostgres(t testing.TB) {
	t.Helper()
	m := currentMode(t)
	if _, err := locatePostgres(); err != nil {
		if m == required {
			t.Fatalf("XMPP_INTEGRATION=required: %v; run: %s", err, installHint)
		}
		t.Skipf("%v; run: %s", err, installHint)
	}
}

func launchPostgres() (p *Postgres, err error) {
	sweepOnce.Do(sweep)
	p = new(Postgres)
	if p.bin, err = locatePostgres(); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp("", dirPrefix+"postgres-"); err != nil {
		return nil, err
	}
	if p.lock, err = lockDir(p.dir); err == nil {
		if err = p.own(); err == nil {
			err = p.initialise()
		}
	}
	if err == nil {
		err = p.run()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("PostgreSQL did not start: %w", err), p.Close())
	}
	live.Store(p, nil)
	return p, nil
}

// own gives the folder to the user that Debian's package has made, if this is root.
func (p *Postgres) own() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	p.user = []string{"/usr/bin/setpriv", "--reuid", u.Uid, "--regid", u.Gid, "--clear-groups", "--pdeathsig", "KILL"}
	return os.Chown(p.dir, uid, gid)
}

func (p *Postgres) command(program string, args ...string) []string {
	return append(append(slices.Clone(p.user), filepath.Join(p.bin, program)), args...)
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) initialise() error {
	return p.execute("initdb", "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "-N")
}

func (p *Postgres) execute(program string, args ...string) error {
	argv := p.command(program, args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

// run starts the process and waits until it answers.
func (p *Postgres) run() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	argv := p.command("postgres", "-D", p.data(), "-k", p.dir, "-c", "listen_addresses=", "-c", "max_connections=200",
		"-c", "fsync=off") // the machine does not crash in tests
	proc, err := spawn(argv, os.Environ(), p.dir, filepath.Join(p.dir, logFile))
	if err != nil {
		return err
	}
	p.proc = proc
	for end := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		err := p.execute("pg_isready", "-q", "-h", p.dir)
		switch {
		case err == nil:
			return nil
		case !proc.alive():
			out, _ := os.ReadFile(filepath.Join(p.dir, logFile))
			return fmt.Errorf("the process ended: %s", out)
		case time.Now().After(end):
			return fmt.Errorf("not up within %v: %w", startLimit, err)
		}
	}
}

var lastDatabase atomic.Uint64

// Database makes a database that no other test uses, and returns how to connect to it.
func (p *Postgres) Database(t testing.TB) (url string) {
	t.Helper()
	name := fmt.Sprintf("test%d", lastDatabase.Add(1))
	if err := p.execute("createdb", "-h", p.dir, "-U", "postgres", name); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres:///%s?host=%s&user=postgres", name, p.dir)
}

// Kill ends all its processes with SIGKILL.
func (p *Postgres) Kill(t testing.TB) {
	t.Helper()
	if err := p.halt(0); err != nil {
		t.Fatal(err)
	}
}

// Run starts it again after Kill.
func (p *Postgres) Run(t testing.TB) {
	t.Helper()
	if err := p.run(); err != nil {
		t.Fatal(err)
	}
}

func (p *Postgres) halt(grace time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return nil
	}
	if grace > 0 {
		p.proc.signal(syscall.SIGINT, false) // "fast": does not wait for those who are connected
		p.proc.exited(grace)
	}
	err := errors.Join(p.proc.stop(0), p.stopBackends())
	p.proc = nil
	return err
}

// stopBackends ends what is left of the processes that serve connections. They are sessions of their own, write over their environment,
// and end by themselves when they notice that the first one is gone: one that works does not for long, and lets no other server start.
func (p *Postgres) stopBackends() error {
	for range 200 {
		pids := p.backends()
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("processes of PostgreSQL still running after SIGKILL")
}

// backends are the processes that work in the folder of the data, as all do.
func (p *Postgres) backends() (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if dir, err := os.Readlink(link); err == nil && dir == p.data() {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Close ends it and removes its folder.
func (p *Postgres) Close() error {
	live.Delete(p)
	err := errors.Join(p.halt(stopGrace), os.RemoveAll(p.dir))
	if p.lock != nil {
		err = errors.Join(err, p.lock.Close())
		p.lock = nil
	}
	return err
}

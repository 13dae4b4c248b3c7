package integration

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// markerVar is set in the environment of every process of a server, to the server's folder.
// Only processes that carry it are ever signalled.
const markerVar = "XMPP_TEST_SERVER"

// process is a started program, the leader of a session of its own.
type process struct {
	pid    int
	marker string
	mu     sync.Mutex
	done   bool // has been waited for; the pid may belong to another by now
	status syscall.WaitStatus
}

// spawn starts argv with its output appended to logPath.
// The kernel kills it when this program dies, however it dies; a chain of exec keeps that.
func spawn(argv, env []string, dir, logPath string) (*process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	pid, err := forkExec(argv, &syscall.ProcAttr{
		Dir:   dir,
		Env:   append(env, markerVar+"="+dir),
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, err
	}
	return &process{pid: pid, marker: dir}, nil
}

// forks are the orders to the one thread that starts all processes.
var forks = sync.OnceValue(func() chan<- func() {
	ch := make(chan func())
	go func() {
		// The parent's death is, to the kernel, the death of the thread that forked: this one is kept for the life of the program.
		runtime.LockOSThread()
		for f := range ch {
			f()
		}
	}()
	return ch
})

// prepare starts the goroutine that start-ups need, before any test counts goroutines.
func prepare() { forks() }

func forkExec(argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	done := make(chan struct{})
	forks() <- func() {
		defer close(done)
		pid, err = syscall.ForkExec(argv[0], argv, attr)
	}
	<-done
	return pid, err
}

// alive reports whether the process runs; one that has ended is reaped.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return false
	}
	for {
		pid, err := syscall.Wait4(p.pid, &p.status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		p.done = pid == p.pid || err != nil
		return !p.done
	}
}

// cpu is the processor time of its threads.
func (p *process) cpu() (sum time.Duration) {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(p.pid) + "/task/[0-9]*/schedstat")
	for _, file := range tasks {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		first, _, _ := bytes.Cut(b, []byte{' '})
		ns, _ := strconv.ParseInt(string(first), 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

// signal sends to the process alone, or to its whole group.
func (p *process) signal(sig syscall.Signal, group bool) {
	if !p.alive() {
		return
	}
	pid := p.pid
	if group {
		pid = -pid
	}
	syscall.Kill(pid, sig)
}

// exited waits until the process and everything it started is gone.
func (p *process) exited(limit time.Duration) bool {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if !p.alive() && len(strays(p.marker)) == 0 {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// stop ends the process, in order if grace is not zero and it ends within grace, else by SIGKILL.
func (p *process) stop(grace time.Duration) error {
	if grace > 0 {
		p.signal(syscall.SIGTERM, false)
		if p.exited(grace) {
			return nil
		}
	}
	p.signal(syscall.SIGKILL, true)
	for range 20 {
		if p.exited(100 * time.Millisecond) {
			return nil
		}
		for _, pid := range strays(p.marker) { // those that have left the group
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return errors.New("processes still running after SIGKILL")
}

// strays returns the pids of the processes that carry the marker.
// A dead process that nobody has waited for yet has no environment and does not count.
func strays(marker string) []int {
	want := []byte(markerVar + "=" + marker)
	envs, _ := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, env := range envs {
		b, err := os.ReadFile(env)
		if err != nil {
			continue
		}
		for v := range bytes.SplitSeq(b, []byte{0}) {
			if bytes.Equal(v, want) {
				if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(env))); err == nil {
					pids = append(pids, pid)
				}
				break
			}
		}
	}
	return pids
}

// lockFile takes a lock on the file, which is made if it is missing. The lock goes with the returned file, and with the program.
// Without wait, a lock that another holds is os.ErrDeadlineExceeded.
func lockFile(path string, shared, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			break
		}
	}
	if err == nil {
		return f, nil
	}
	f.Close()
	if err == syscall.EWOULDBLOCK {
		err = os.ErrDeadlineExceeded
	}
	return nil, err
}

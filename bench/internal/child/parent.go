package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/outside"
)

// Flag is the command-line flag with which a program becomes a child: the argument after it is for Main.
const Flag = "-child"

// The names of the clients that are not Go libraries.
const (
	Strophe = "libstrophe"
	Slixmpp = "slixmpp"
)

// Process is a running child, seen from its parent.
type Process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	err   *tail
}

// Start starts a child; ctx ends it at the latest. The caller must Stop it.
func Start(ctx context.Context, spec Spec, tools *outside.Tools) (*Process, error) {
	cmd, err := command(ctx, spec, tools)
	if err != nil {
		return nil, err
	}
	return start(cmd)
}

func start(cmd *exec.Cmd) (p *Process, err error) {
	p = &Process{cmd: cmd, lines: make(chan string, 8), err: &tail{}}
	cmd.Stderr = p.err
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			p.lines <- sc.Text()
		}
	}()
	return p, nil
}

func command(ctx context.Context, spec Spec, tools *outside.Tools) (*exec.Cmd, error) {
	_, port, _ := strings.Cut(spec.Account.Addr, ":")
	args := []string{spec.Role, port, spec.Account.JID(), spec.Account.Password, spec.Account.CAFile, spec.To, fmt.Sprint(spec.N), spec.Tag}
	switch spec.Library {
	case Strophe:
		return exec.CommandContext(ctx, tools.Strophe, args...), nil
	case Slixmpp:
		return exec.CommandContext(ctx, tools.Python, append([]string{tools.Slix}, args...)...), nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, self, Flag, string(text)), nil
}

// Ready waits until the child is logged in.
func (p *Process) Ready(ctx context.Context) error {
	line, err := p.line(ctx)
	if err == nil && line != "ready" {
		err = fmt.Errorf("got %q, want ready", line)
	}
	return err
}

// Order sends "go" or "stop".
func (p *Process) Order(word string) error {
	_, err := io.WriteString(p.in, word+"\n")
	return err
}

// Result waits for the child's figures.
func (p *Process) Result(ctx context.Context, figures ...any) error {
	line, err := p.line(ctx)
	if err != nil {
		return err
	}
	text, ok := strings.CutPrefix(line, "result ")
	if !ok {
		return fmt.Errorf("got %q, want a result", line)
	}
	_, err = fmt.Sscan(text, figures...)
	return err
}

func (p *Process) line(ctx context.Context) (string, error) {
	select {
	case line, ok := <-p.lines:
		if !ok {
			return "", errors.New("the client ended: " + p.err.String())
		}
		return line, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%w; the client's errors: %s", ctx.Err(), p.err.String())
	}
}

// Stop lets the child end, and ends it after three seconds.
func (p *Process) Stop() {
	p.in.Close()
	timer := time.AfterFunc(3*time.Second, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	for range p.lines {
	}
	p.cmd.Wait()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-1000):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

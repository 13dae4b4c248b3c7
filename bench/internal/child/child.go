// Package child runs one client of one library in a process of its own, so that its processor time can be told from
// the server's and the other client's, and no library pays for another one's garbage.
//
// Parent and child speak in lines. The child: "ready" once it is logged in, then "result" with its figures.
// The parent: "go", then "stop". The C program and the Python script in package outside speak the same lines.
//
//	sender:    result START CPU     nanoseconds of the clock before the first message; microseconds from go to stop
//	receiver:  result END CPU       nanoseconds of the clock after the last message; microseconds from go to it
//	idle:      result GOROUTINES HEAP STACK    for all streams together, bytes after garbage collection
package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/clients"
	"github.com/go-xmppframework/xmpp/bench/internal/lean"
	"github.com/go-xmppframework/xmpp/bench/internal/micro"
)

// The roles of a child.
const (
	Sender   = "sender"
	Receiver = "receiver"
	Idle     = "idle"
)

// Spec is what a child is to do.
type Spec struct {
	Library string
	Role    string
	Account clients.Account
	Users   []string // idle: the accounts to spread the streams over, password as in Account or USER-pw if that is empty
	To      string   // sender: the receiver's full address
	N       int      // messages, or streams
	Tag     string   // in front of every body
	Profile string   // file for a CPU profile of the time between go and the result, idle: for a heap profile; empty: none
}

// limit bounds the life of every child.
const limit = 3 * time.Minute

// Main is the child's main function; spec is its JSON form.
func Main(text string) error {
	var spec Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	library, err := clients.ByName(spec.Library)
	if err != nil {
		return err
	}
	time.AfterFunc(limit, func() { os.Exit(3) })
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	switch spec.Role {
	case Sender:
		return spec.send(ctx, library)
	case Receiver:
		return spec.receive(ctx, library)
	case Idle:
		return spec.idle(ctx, library)
	}
	return errors.New("no such role: " + spec.Role)
}

func (s Spec) send(ctx context.Context, l clients.Library) error {
	c, err := l.Login(ctx, s.Account, nil)
	if err != nil {
		return err
	}
	messages := clients.Messages(s.N, func(i int) string { return lean.Body(s.Tag, i) })
	in := bufio.NewScanner(os.Stdin)
	say("ready")
	if err := await(in, "go"); err != nil {
		return err
	}
	defer s.profile()()
	start, cpu := time.Now(), micro.CPU()
	if err := c.Send(ctx, s.To, messages); err != nil {
		return err
	}
	// The library may still be writing: its time counts until the other side has everything.
	if err := await(in, "stop"); err != nil {
		return err
	}
	say("result", start.UnixNano(), (micro.CPU() - cpu).Microseconds())
	return c.Close()
}

func (s Spec) receive(ctx context.Context, l clients.Library) error {
	inbox := clients.NewInbox(s.Tag, s.N)
	c, err := l.Login(ctx, s.Account, inbox)
	if err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	say("ready")
	if err := await(in, "go"); err != nil {
		return err
	}
	stop := s.profile()
	cpu := micro.CPU()
	select {
	case <-inbox.Full():
	case <-ctx.Done():
		return fmt.Errorf("%d of %d messages missing: %w", inbox.Left(), s.N, ctx.Err())
	}
	say("result", time.Now().UnixNano(), (micro.CPU() - cpu).Microseconds())
	stop()
	if err := await(in, "stop"); err != nil {
		return err
	}
	return c.Close()
}

func (s Spec) idle(ctx context.Context, l clients.Library) error {
	if s.Profile != "" {
		runtime.MemProfileRate = 512
	}
	before, routines := memory(), runtime.NumGoroutine()
	open := make([]clients.Client, s.N)
	errs := make(chan error, s.N)
	var wait sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i := range s.N {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			a := s.Account
			a.User = s.Users[i%len(s.Users)]
			if a.Password == "" {
				a.Password = a.User + "-pw"
			}
			a.Resource = fmt.Sprintf("idle%d", i)
			var err error
			if open[i], err = l.Login(ctx, a, nil); err != nil {
				errs <- fmt.Errorf("stream %d: %w", i, err)
			}
		})
	}
	wait.Wait()
	wait, slots = sync.WaitGroup{}, nil
	select {
	case err := <-errs:
		return err
	default:
	}
	// Presence of the other streams and what else follows a login.
	time.Sleep(time.Second)
	after := memory()
	say("ready")
	say("result", runtime.NumGoroutine()-routines,
		int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(after.StackInuse)-int64(before.StackInuse))
	s.heapProfile()
	runtime.KeepAlive(open)
	// The process ends with its streams: closing thousands in order is not what is measured.
	return nil
}

func memory() runtime.MemStats {
	var m runtime.MemStats
	for range 3 { // pools give up what they hold after two collections
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m
}

// profile starts the CPU profile, where one is wanted, and returns what ends it.
func (s Spec) profile() func() {
	if s.Profile == "" {
		return func() {}
	}
	f, err := os.Create(s.Profile)
	if err != nil || pprof.StartCPUProfile(f) != nil {
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}
}

// heapProfile writes what the streams hold, where a profile is wanted.
func (s Spec) heapProfile() {
	if s.Profile == "" {
		return
	}
	if f, err := os.Create(s.Profile); err == nil {
		pprof.WriteHeapProfile(f)
		f.Close()
	}
}

func await(in *bufio.Scanner, want string) error {
	if !in.Scan() {
		return errors.New("the parent is gone")
	}
	if in.Text() != want {
		return fmt.Errorf("got order %q, want %q", in.Text(), want)
	}
	return nil
}

func say(words ...any) { fmt.Println(words...) }

package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// eachOwn runs f with a server of its own of every kind, side by side.
func eachOwn(t *testing.T, f func(t *testing.T, s *Server)) {
	kinds, err := kindsWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			var dir string
			t.Cleanup(func() {
				if pids := strays(dir); exists(dir) || len(pids) > 0 {
					t.Errorf("at the end %s and the processes %v are left", dir, pids)
				}
			})
			s := Start(t, k)
			dir = s.dir
			f(t, s)
		})
	}
}

func TestIntegrationRestart(t *testing.T) {
	eachOwn(t, func(t *testing.T, s *Server) {
		addr := s.Addr(STARTTLS)
		address, password := s.NewAccount(t)
		c := mustLogin(t, s, STARTTLS, address, password, nil)

		began := time.Now()
		s.Stop(t)
		took := time.Since(began)
		if took > 10*time.Second {
			t.Errorf("stop took %v", took)
		}
		if _, err := io.ReadAll(c); err != nil { // system-shutdown does not always get through
			t.Errorf("at an orderly stop the client saw %v, want the end of the stream", err)
		}
		if pids := strays(s.dir); len(pids) > 0 {
			t.Errorf("processes %v are left after stop", pids)
		}
		s.Stop(t) // a second time is no error

		s.Restart(t, false)
		if got := s.Addr(STARTTLS); got != addr {
			t.Errorf("address after restart %s, before %s", got, addr)
		}
		c = mustLogin(t, s, STARTTLS, address, password, nil)
		s.Restart(t, true)
		if rest, _ := io.ReadAll(c); strings.Contains(string(rest), "stream>") {
			t.Errorf("a killed server said %q", rest) // it had no time to
		}
		mustLogin(t, s, DirectTLS, address, password, nil)

		s.Kill(t)
		if conn, err := net.Dial("tcp4", addr); err == nil {
			conn.Close()
			t.Error("somebody listens after Kill")
		}
		if err := s.CreateAccount("late", Full, "late"); err == nil {
			t.Error("an account was made at a dead server")
		}
	})
}

func TestIntegrationOptions(t *testing.T) {
	for _, k := range []Kind{Prosody, Ejabberd} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			s := Start(t, k, StanzaSize(20000), ResumeTimeout(5*time.Second), LogLevel("debug"))
			address, password := s.NewAccount(t)
			c := mustLogin(t, s, STARTTLS, address, password, nil)
			if _, err := c.ask("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "<enabled"); err != nil {
				t.Fatal(err)
			}
			if enabled, err := c.ask("", "/>"); err != nil || !strings.Contains(enabled, " max='5'") {
				t.Errorf("enabled: %s, %v; want max='5'", enabled, err)
			}
			if log := s.Log(); !strings.Contains(log, "debug") {
				t.Errorf("log at level debug: %s", log)
			}
			big := "<message to='" + address + "'><body>" + strings.Repeat("x", 30000) + "</body></message>"
			if _, err := c.ask(big, "<policy-violation"); err != nil {
				t.Errorf("a stanza above the limit: %v", err)
			}
		})
	}
}

// A port that is taken between choosing and listening makes the start go on with other ports.
// Neither that nor a running server adds a goroutine: tests may count theirs.
func TestIntegrationPortTaken(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := uint16(l.Addr().(*net.TCPAddr).Port)
	defer func() { choosePorts = freePorts }()
	for k, p := range map[Kind]Port{Prosody: STARTTLS, Ejabberd: HTTPS} {
		t.Run(string(k), func(t *testing.T) {
			calls := 0
			choosePorts = func() ([numPorts]uint16, error) {
				ports, err := freePorts()
				if calls++; calls == 1 {
					ports[p] = taken
				}
				return ports, err
			}
			before := runtime.NumGoroutine()
			s := Start(t, k)
			if calls != 2 {
				t.Errorf("ports were chosen %d times, want 2", calls)
			}
			address, password := s.NewAccount(t)
			mustLogin(t, s, STARTTLS, address, password, nil)
			end := time.Now().Add(5 * time.Second)
			for runtime.NumGoroutine() > before && time.Now().Before(end) { // HTTP's end a moment later
				time.Sleep(time.Millisecond)
			}
			if got := runtime.NumGoroutine(); got > before {
				t.Errorf("%d goroutines with a server, %d before", got, before)
			}
		})
	}
}

// ownerVar makes the test program start servers and wait to be killed.
const ownerVar = "XMPP_INTEGRATION_OWNER"

func own() {
	for _, k := range []Kind{Prosody, Ejabberd26} { // one run directly, one inside the side root
		if _, err := locate(k); err != nil {
			continue
		}
		s, err := Launch(k)
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("dir", s.dir)
	}
	fmt.Println("up")
	select {}
}

// When the program that started servers is killed, the servers go with it, and the next program removes their folders.
func TestIntegrationOwnerKilled(t *testing.T) {
	check(t, Prosody)
	takeSlot(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerVar+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "up"; {
		dir, ok := strings.CutPrefix(lines.Text(), "dir ")
		if !ok {
			t.Errorf("owner: %s", lines.Text())
			continue
		}
		if len(strays(dir)) == 0 {
			t.Errorf("no process with the marker of %s", dir)
		}
		dirs = append(dirs, dir)
	}
	sweep()
	for _, dir := range dirs {
		if !exists(dir) {
			t.Errorf("%s was swept while in use", dir)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	end := time.Now().Add(10 * time.Second)
	for _, dir := range dirs {
		for len(strays(dir)) > 0 {
			if time.Now().After(end) {
				t.Fatalf("processes %v are left after their owner was killed", strays(dir))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	sweep()
	for _, dir := range dirs {
		if exists(dir) {
			t.Errorf("%s was not swept", dir)
		}
	}
	if len(dirs) == 0 {
		t.Error("the owner started nothing")
	}
}

// TestCPU: the processor time of a server grows with its work, and is gone with its process.
func TestCPU(t *testing.T) {
	Each(t, func(t *testing.T, s *Server) {
		before := s.CPU()
		if before < 10*time.Millisecond || before > time.Hour {
			t.Errorf("it has taken %v so far", before)
		}
		for range 20 {
			s.NewAccount(t)
		}
		if after := s.CPU(); after <= before {
			t.Errorf("twenty accounts have taken no time: %v, %v before", after, before)
		}
	})
}

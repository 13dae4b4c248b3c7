package serverless

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
)

// TestZeroconf: another implementation of multicast DNS and this one see each other, on the loopback interface.
func TestZeroconf(t *testing.T) {
	testkit.Goroutines(t)
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import zeroconf").Run(); err != nil {
		if os.Getenv("XMPP_INTEGRATION") == "required" {
			t.Fatalf("python3-zeroconf is needed: %v", err)
		}
		t.Skipf("python3-zeroconf is not here: %v", err)
	}
	lo := loopback(t)
	cmd := exec.Command(python, "testdata/peer.py")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	testkit.Must(t, err)
	out, err := cmd.StdoutPipe()
	testkit.Must(t, err)
	testkit.Must(t, cmd.Start())
	lines, done := make(chan string, 64), make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	defer func() {
		_ = in.Close()
		<-done
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	tag := rand8()
	says := func(format string, args ...any) { // sooner or later
		t.Helper()
		for want := fmt.Sprintf(format, args...); ; {
			switch got := next(t, lines, "zeroconf: "+want); {
			case got == want:
				return
			case strings.Contains(got, tag):
				t.Logf("zeroconf says %s", got)
			}
		}
	}
	if got := next(t, lines, "zeroconf"); got != "ready" {
		t.Fatal(got)
	}

	e := newEvents()
	n := startNode(t, nil, Config{JID: xmpp.MustParseJID("romeo" + tag + "@forza.x"), Interfaces: []net.Interface{lo},
		Presence: Presence{Message: "sofort"}}, e)
	port := n.Addr().(*net.TCPAddr).Port
	says("+ %s 127.0.0.1 %d avail sofort %d", n.JID(), port, port)
	testkit.Must(t, n.SetPresence(Presence{Status: Away, Message: "später"}))
	says("= %s 127.0.0.1 %d away später %d", n.JID(), port, port)

	nurse := xmpp.MustParseJID("nurse" + tag + "@verona")
	tell := func(verb, status string) {
		t.Helper()
		_, err := io.WriteString(in, verb+" "+nurse.String()+" "+status+"\n")
		testkit.Must(t, err)
	}
	tell("register", "away")
	if got := nextAbout(t, e, nurse); got != "+"+nurse.String()+" away" {
		t.Error(got)
	}
	p, _ := n.Peer(nurse)
	if len(p.Addrs) != 1 || p.Addrs[0].String() != "127.0.0.1" || p.Port != 5298 {
		t.Errorf("%+v", p)
	}
	tell("update", "dnd")
	if got := nextAbout(t, e, nurse); got != "="+nurse.String()+" dnd " {
		t.Error(got)
	}

	// A name that zeroconf has is not taken.
	e2 := newEvents()
	other := startNode(t, nil, Config{JID: nurse, Interfaces: []net.Interface{lo}}, e2)
	if got := other.JID().Local(); got != nurse.Local()+"-2" {
		t.Errorf("the name is %s", got)
	}

	tell("unregister", "dnd")
	if got := nextAbout(t, e, nurse); got != "-"+nurse.String() {
		t.Error(got)
	}
	closeNode(t, n)
	says("- %s", n.JID())
}

// loopback is the interface that every machine has.
func loopback(t testing.TB) net.Interface {
	t.Helper()
	list, err := net.Interfaces()
	testkit.Must(t, err)
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 {
			return i
		}
	}
	t.Fatal("no loopback interface")
	return net.Interface{}
}

package testserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// TestCutBytes reads what comes before a cut, byte by byte of what the server says.
func TestCutBytes(t *testing.T) {
	srv := newServer(t, Options{TLS: TLSNone})
	header := "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='example.test'>"
	whole := len("<stream:features>") // the shortest that features are
	for _, kind := range []CutKind{CutReset, CutClose} {
		for n := range whole {
			srv.Cut(StepFeatures, 1, kind, n)
			c := dial(t, srv)
			c.write(header)
			b, err := io.ReadAll(c.conn)
			if kind == CutReset && !errors.Is(err, syscall.ECONNRESET) || kind == CutClose && err != nil {
				t.Errorf("kind %d: the connection ends with %v", kind, err)
			}
			s := string(b)
			if want := "<stream:features>"[:n]; len(s) < n || s[len(s)-n:] != want || s[len(s)-n-1] != '>' {
				t.Errorf("%d bytes of the features: %q", n, s)
			}
		}
	}
	if want := 2 * whole; srv.Cuts() != want {
		t.Errorf("%d cuts, want %d", srv.Cuts(), want)
	}
}

// TestCutSilence: the server keeps the connection, reads on, and says nothing; it lets go when the client does.
func TestCutSilence(t *testing.T) {
	srv := newServer(t, Options{TLS: TLSNone, PipeBuffer: 1000})
	for _, at := range []Step{StepDial, StepHeader, StepFeatures} {
		srv.Cut(at, 1, CutSilence, 0)
		c := dial(t, srv)
		for range 100 { // more than the pipe holds
			c.write("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='example.test'>")
		}
		c.raw.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		b, err := io.ReadAll(c.conn)
		var late net.Error
		if at != StepFeatures && len(b) > 0 || !errors.As(err, &late) || !late.Timeout() {
			t.Errorf("%v: after the cut came %q, %v", at, b, err)
		}
		c.conn.Close()
	}
	for range 200 {
		srv.mu.Lock()
		left := len(srv.links)
		srv.mu.Unlock()
		if left == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("a connection that the client has closed is kept")
}

// TestCutByHand cuts what a peer and a script play, too.
func TestCutByHand(t *testing.T) {
	srv := newServer(t, Options{})
	p, err := srv.Peer("juliet")
	if err != nil {
		t.Fatal(err)
	}
	srv.Cut(StepSession, 1, CutReset, 0)
	c := login(t, srv, "juliet", "x")
	c.write("<presence/>")
	if _, err := io.ReadAll(c.conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ends with %v", err)
	}
	if e, err := p.Next(); err == nil {
		t.Errorf("the peer got %s", pretty(e))
	}
	sc, err := ParseScript("S!login")
	if err != nil {
		t.Fatal(err)
	}
	sc.OnError = func(error) {}
	srv.AddScripts(false, sc)
	srv.Cut(StepChallenge, 1, CutClose, 0)
	c = dial(t, srv)
	c.open()
	c.startTLS(nil)
	c.open()
	c.write("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>biwsbj1qdWxpZXQscj1hYmM=</auth>")
	if e, err := c.read(); err == nil {
		t.Errorf("the script went on with %s", pretty(e))
	}
	<-sc.Done()
	if sc.Err() == nil {
		t.Error("the script does not say that its login was cut")
	}
}

func TestStepNames(t *testing.T) {
	for s := StepDial; s <= StepFields; s++ {
		if s.String() == fmt.Sprint("step ", int(s)) {
			t.Errorf("step %d has no name", int(s))
		}
	}
	if got := (StepFields + 1).String() + ", " + Step(-1).String(); got != "step 21, step -1" {
		t.Errorf("no steps: %s", got)
	}
}

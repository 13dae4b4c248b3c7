package xmpptest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestFaultLimits lets exactly so many bytes through, in each direction, and then ends the connection in each manner.
func TestFaultLimits(t *testing.T) {
	const size = 40
	text := "0123456789abcdefghijklmnopqrstuvwxyz/+=."
	for _, how := range []xmpptest.Cut{xmpptest.CutReset, xmpptest.CutClose, xmpptest.CutSilence} {
		for n := 1; n <= size; n++ {
			tests := map[string]xmpptest.Faults{
				"read":          {ResetAfterRead: int64(n), How: how},
				"read, of all":  {ResetAfter: int64(n), How: how, ReadChunk: 1 + n%4},
				"write":         {ResetAfterWritten: int64(n), How: how},
				"write, of all": {ResetAfter: int64(n), ResetAfterWritten: size, How: how, WriteChunk: 1 + n%4},
			}
			for name, f := range tests {
				synctest.Test(t, func(t *testing.T) {
					client, server := testserver.Pipe(0, "client", "server")
					defer server.Close()
					c := xmpptest.NewFaultConn(client, f)
					defer c.Close()
					reader, writer := io.Reader(c), io.Writer(server)
					if name[0] == 'w' {
						reader, writer = server, c
					}
					got := make(chan string)
					go func() {
						b, err := io.ReadAll(reader)
						if how == xmpptest.CutReset && !errors.Is(err, syscall.ECONNRESET) || how == xmpptest.CutClose && err != nil {
							t.Errorf("%s %d, cut %d: the reader ends with %v", name, n, how, err)
						}
						got <- string(b)
					}()
					written, err := io.WriteString(writer, text)
					switch { // a part of the bytes is refused, unless they are lost in silence
					case name[0] == 'r', how == xmpptest.CutSilence, n == size && err == nil:
						if written != size || err != nil {
							t.Errorf("%s %d, cut %d: %d bytes were written, %v", name, n, how, written, err)
						}
					case how == xmpptest.CutReset && !errors.Is(err, syscall.ECONNRESET),
						how == xmpptest.CutClose && !errors.Is(err, syscall.EPIPE), written != n:
						t.Errorf("%s %d, cut %d: %d bytes were written, %v", name, n, how, written, err)
					}
					if how == xmpptest.CutSilence {
						synctest.Wait()
						select {
						case b := <-got:
							t.Errorf("%s %d: the silence ended after %q", name, n, b)
							return
						case <-time.After(time.Hour):
						}
						c.Close()
					}
					if b := <-got; b != text[:n] {
						t.Errorf("%s %d, cut %d: %q came through", name, n, how, b)
					}
				})
			}
		}
	}
}

// TestFaultLimitBothWays counts what goes both ways at the same time. A write that is under way when a read reaches the limit
// may be lost.
func TestFaultLimitBothWays(t *testing.T) {
	for n := int64(1); n < 2000; n += 83 {
		client, server := testserver.Pipe(100, "client", "server")
		c := xmpptest.NewFaultConn(client, xmpptest.Faults{ResetAfter: n, ReadChunk: 7, WriteChunk: 5})
		ends := make(chan int64, 3)
		pump := func(w io.Writer, r io.Reader) {
			n, _ := io.Copy(w, r)
			ends <- n
		}
		go pump(io.Discard, c)
		go pump(server, zeros{})
		go pump(c, zeros{})
		arrived, _ := io.Copy(io.Discard, server)
		for range 3 {
			<-ends
		}
		if total := c.BytesRead() + c.BytesWritten(); total > n || total < n-5 || arrived > c.BytesWritten() || arrived < c.BytesWritten()-5 {
			t.Errorf("limit %d: %d bytes were read and %d written, %d of these arrived", n, c.BytesRead(), c.BytesWritten(), arrived)
		}
		c.Close()
		server.Close()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return min(len(p), 13), nil }

func TestRandomResets(t *testing.T) {
	f := xmpptest.RandomResets(7, 10, 13)
	seen := map[int64]bool{}
	for n := range 200 {
		at := f(n).ResetAfter
		if again := xmpptest.RandomResets(7, 10, 13)(n).ResetAfter; at != again {
			t.Errorf("connection %d is reset at byte %d, and at %d the next time", n, at, again)
		}
		seen[at] = true
	}
	if len(seen) != 4 || !seen[10] || !seen[13] {
		t.Errorf("the bytes are %v", seen)
	}
	for _, bad := range [][2]int64{{0, 5}, {-1, 5}, {6, 5}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v is taken", bad)
				}
			}()
			xmpptest.RandomResets(1, bad[0], bad[1])
		}()
	}
}

func TestFaultDialer(t *testing.T) {
	srv := xmpptest.NewServer(t)
	d := &xmpptest.FaultDialer{
		Dial:   srv.Config("juliet").Dial,
		Faults: func(n int) xmpptest.Faults { return xmpptest.Faults{ResetAfterWritten: int64(10 * (n + 1))} },
		Budget: 2,
	}
	if d.Current() != nil || len(d.Conns()) != 0 || d.Reset() != 0 {
		t.Error("there is a connection before any was made")
	}
	d.Refuse(true)
	if _, err := d.DialContext(t.Context(), "tcp", "x:1"); !errors.Is(err, syscall.ECONNREFUSED) || d.Dialled() != 0 {
		t.Errorf("refused: %v, %d connections", err, d.Dialled())
	}
	d.Refuse(false)
	var conns []net.Conn
	for range 5 {
		c, err := d.DialContext(t.Context(), "tcp", "x:1")
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if d.Dialled() != 5 || len(d.Conns()) != 5 || d.Current() != conns[4] || d.Conns()[0] != conns[0] {
		t.Errorf("%d connections, %d open", d.Dialled(), len(d.Conns()))
	}
	for i := range 3 { // the third has no budget any more
		n, err := conns[i].Write(make([]byte, 35))
		want := []int{10, 20, 35}[i]
		if n != want || (i < 2) != errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("connection %d: %d bytes, %v", i, n, err)
		}
	}
	if d.Cuts() != 2 {
		t.Errorf("%d cuts, want 2", d.Cuts())
	}
	d.Current().Reset()
	d.Current().Reset() // counts once
	conns[4].Close()
	if d.Cuts() != 3 || d.Current() != conns[3] || len(d.Conns()) != 4 {
		t.Errorf("%d cuts, %d open", d.Cuts(), len(d.Conns()))
	}
	if n := d.Reset(); n != 2 || d.Cuts() != 5 {
		t.Errorf("Reset of 2 connections said %d, then there were %d cuts", n, d.Cuts())
	}
	for _, c := range conns {
		c.Close()
	}
	if d.Current() != nil {
		t.Error("all are closed, and one is left")
	}
	failing := &xmpptest.FaultDialer{} // over TCP
	if _, err := failing.DialContext(t.Context(), "tcp", "127.0.0.1:0"); err == nil || failing.Dialled() != 0 {
		t.Errorf("a port without a server: %v", err)
	}
}

// TestFaultDialerOverTCP logs in over TLS and real sockets until the budget is spent.
func TestFaultDialerOverTCP(t *testing.T) {
	const cuts = 25
	srv := xmpptest.NewServer(t)
	d := &xmpptest.FaultDialer{Faults: xmpptest.RandomResets(3, 1, 3000), Budget: cuts}
	config := srv.Config("juliet")
	host, port, err := net.SplitHostPort(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	config.Dial, config.Host = d.DialContext, host
	fmt.Sscan(port, &config.Port)
	stream := newStream(t, config)
	failed := 0
	for ; failed < 10*cuts; failed++ {
		if err := stream.Login(t.Context()); err == nil {
			break
		}
	}
	if failed != cuts || d.Cuts() != cuts || d.Dialled() != cuts+1 || len(d.Conns()) != 1 {
		t.Errorf("%d logins failed; %d cuts, %d connections, %d open", failed, d.Cuts(), d.Dialled(), len(d.Conns()))
	}
	if n := d.Reset(); n != 1 {
		t.Errorf("%d connections were reset", n)
	}
	if err := stream.Wait(t.Context()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the stream ended with %v", err)
	}
}

// TestFaultSilenceAndDeadline: deadlines hold on a connection that has fallen silent at a limit.
func TestFaultSilenceAndDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := testserver.Pipe(0, "client", "server")
		c := xmpptest.NewFaultConn(client, xmpptest.Faults{ResetAfterRead: 3, How: xmpptest.CutSilence})
		defer c.Close()
		io.WriteString(server, "abcdef")
		buf := make([]byte, 10)
		if n, err := c.Read(buf); n != 3 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		server.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("in the silence: %v", err)
		}
		c.SetDeadline(time.Time{})
		if n, err := c.Write(buf); n != 10 || err != nil || c.BytesWritten() != 10 {
			t.Errorf("in the silence: %d bytes written, %v", n, err)
		}
	})
}

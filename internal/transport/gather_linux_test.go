package transport

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

func gatherPair(t *testing.T) (g *gatherer, server net.Conn, eager *atomic.Bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	eager = new(atomic.Bool)
	g, ok := gather(client, func(time.Time) bool { return eager.Load() }).(*gatherer)
	if !ok {
		t.Fatal("a TCP connection does not gather")
	}
	return g, server, eager
}

// flood makes g gather: it keeps writing small pieces until g is told to have begun.
func flood(t *testing.T, g *gatherer, server net.Conn) {
	t.Helper()
	buf := make([]byte, 64)
	for range 1000 {
		if _, err := server.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(g, buf); err != nil {
			t.Fatal(err)
		}
		if g.on {
			return
		}
	}
	t.Fatal("a thousand small reads did not begin it")
}

func TestGatherLosesNothing(t *testing.T) {
	g, server, _ := gatherPair(t)
	sent := make(chan []byte, 1)
	go func() {
		var all bytes.Buffer
		for i := range 5000 {
			piece := bytes.Repeat([]byte{byte('a' + i%26)}, 1+i%700)
			all.Write(piece)
			if _, err := server.Write(piece); err != nil {
				break
			}
		}
		server.Close()
		sent <- all.Bytes()
	}()
	got, err := io.ReadAll(ReadAhead(g.Conn, g.eager)) // through both layers
	if want := <-sent; err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestGatherEndsWithTheFlood(t *testing.T) {
	g, server, _ := gatherPair(t)
	flood(t, g, server)
	buf := make([]byte, 64)
	for i := range 3 { // what comes alone comes, and so late at most
		time.AfterFunc(5*time.Millisecond, func() { _, _ = server.Write([]byte("x")) })
		n, err := g.Read(buf)
		if n == 0 && err == nil { // it has left
			n, err = g.Read(buf)
		}
		if n != 1 || err != nil {
			t.Fatalf("read %d: %d bytes, %v", i, n, err)
		}
	}
	if g.on {
		t.Error("it still gathers")
	}
}

func TestGatherHoldsNoAnswerBack(t *testing.T) {
	g, server, eager := gatherPair(t)
	flood(t, g, server)
	eager.Store(true)
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := g.Read(make([]byte, 64)); n != 1 || err != nil || g.on {
		t.Errorf("%d bytes, %v, gathers: %v", n, err, g.on)
	}
}

func TestGatherSeesTheEnd(t *testing.T) {
	for name, end := range map[string]func(client, server net.Conn){
		"server closes": func(_, server net.Conn) { server.Close() },
		"client closes": func(client, _ net.Conn) { client.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			g, server, _ := gatherPair(t)
			flood(t, g, server)
			time.AfterFunc(time.Millisecond, func() { end(g.Conn, server) })
			if n, err := g.Read(make([]byte, 64)); n != 0 || err == nil {
				t.Errorf("%d bytes, %v; want an error", n, err)
			}
		})
	}
}

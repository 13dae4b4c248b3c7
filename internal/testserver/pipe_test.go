package testserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipeCarriesBothWays(t *testing.T) {
	a, b := Pipe(0, "a", "b")
	var wg sync.WaitGroup
	data := bytes.Repeat([]byte("0123456789"), 100_000) // far above the buffer
	for _, end := range []struct{ w, r *Conn }{{a, b}, {b, a}} {
		wg.Go(func() {
			end.w.Write(data)
			end.w.CloseWrite()
		})
		wg.Go(func() {
			got, err := io.ReadAll(end.r)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, err %v; want %d", len(got), err, len(data))
			}
		})
	}
	wg.Wait()
	if n := a.Counts(); n.BytesRead != int64(len(data)) || n.BytesWritten != int64(len(data)) || n.Writes != 1 || n.Reads < 2 {
		t.Errorf("counts: %+v", n)
	}
	if a.LocalAddr().String() != "a" || a.RemoteAddr().String() != "b" || a.LocalAddr().Network() != "pipe" {
		t.Errorf("addresses: %v %v", a.LocalAddr(), a.RemoteAddr())
	}
}

func TestPipeEnds(t *testing.T) {
	buf := make([]byte, 10)
	t.Run("closed", func(t *testing.T) {
		a, b := Pipe(0, "a", "b")
		a.Write([]byte("last"))
		a.Close()
		a.Close()
		if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := b.Write(buf); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed peer: %v", err)
		}
		if _, err := a.Read(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
		if _, err := a.Write(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
	})
	t.Run("half-closed", func(t *testing.T) {
		a, b := Pipe(0, "a", "b")
		a.CloseWrite()
		if n, err := b.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("got %d, %v; want io.EOF", n, err)
		}
		b.Write([]byte("still"))
		if n, err := a.Read(buf); string(buf[:n]) != "still" || err != nil {
			t.Errorf("got %q, %v", buf[:n], err)
		}
		if _, err := a.Write(buf); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write after CloseWrite: %v", err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		a, b := Pipe(0, "a", "b")
		a.Write([]byte("lost"))
		b.Reset()
		for _, c := range []*Conn{a, b} {
			if _, err := c.Read(buf); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v", err)
			}
			if _, err := c.Write(buf); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("write: %v", err)
			}
		}
	})
}

func TestPipeFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(8, "a", "b")
		buf := make([]byte, 100)

		b.SetChunk(1)
		a.Write([]byte("abc"))
		for _, want := range "abc" {
			if n, _ := b.Read(buf); string(buf[:n]) != string(want) {
				t.Errorf("got %q, want %q", buf[:n], want)
			}
		}
		b.SetChunk(0)

		a.Stall(false, true)
		wrote := make(chan int, 1)
		go func() {
			n, err := a.Write([]byte(strings.Repeat("x", 20)))
			if err != nil {
				t.Error(err)
			}
			wrote <- n
		}()
		b.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := b.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read of a stalled pipe: %d, %v", n, err)
		}
		var netErr net.Error
		if _, err := b.Read(buf); !errors.As(err, &netErr) || !netErr.Timeout() {
			t.Errorf("a deadline in the past: %v", err)
		}
		select {
		case n := <-wrote:
			t.Errorf("a write of 20 bytes passed a buffer of 8: %d", n)
		default:
		}
		if got := b.Counts().BytesWaiting; got != 8 {
			t.Errorf("waiting: %d, want 8", got)
		}
		a.Stall(false, false)
		b.SetReadDeadline(time.Time{})
		if n, err := io.ReadFull(b, buf[:20]); n != 20 || err != nil {
			t.Errorf("after the stall: %d, %v", n, err)
		}
		if n := <-wrote; n != 20 {
			t.Errorf("wrote %d, want 20", n)
		}

		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write(make([]byte, 9)); n != 8 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write deadline: %d, %v", n, err)
		}
		a.SetWriteDeadline(time.Time{})
		io.ReadFull(b, buf[:8])

		a.Blackhole(true)
		if n, err := a.Write(make([]byte, 1000)); n != 1000 || err != nil {
			t.Errorf("blackhole: %d, %v", n, err)
		}
		if got := b.Counts().BytesWaiting; got != 0 {
			t.Errorf("waiting: %d, want 0", got)
		}
		a.Close()
		b.Close()
	})
}

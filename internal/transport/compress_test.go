package transport

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
)

// TestCompress: what one end writes the other can read at once, in both directions, whatever the sizes.
func TestCompress(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		ends := [2]*Compressed{Compress(ours, 1<<20), Compress(theirs, 1<<20)}
		defer ends[0].Close()
		defer ends[1].Close()
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range 60 {
			from, to := ends[i%2], ends[(i+1)%2]
			sent := make([]byte, 1+rnd.IntN(5000)*(i%10/9*30+1))
			for i := range sent {
				sent[i] = "<message to='romeo@example.test'/>"[rnd.IntN(1+i%33)]
			}
			start := time.Now()
			done := make(chan error, 1)
			go func() {
				n, err := from.Write(sent)
				if n != len(sent) && err == nil {
					err = io.ErrShortWrite
				}
				done <- err
			}()
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("%d bytes: %v", len(sent), err)
			}
			if err := <-done; err != nil || time.Since(start) > 0 {
				t.Fatal(err)
			}
		}
		// Nothing is read that is not there, and one who waits is waiting for the peer.
		read := make(chan error, 1)
		go func() {
			_, err := ends[0].Read(make([]byte, 10))
			read <- err
		}()
		synctest.Wait()
		select {
		case err := <-read:
			t.Error("read something:", err)
		default:
		}
		ends[1].Close()
		if err := <-read; err != io.EOF {
			t.Error("the peer is gone:", err)
		}
	})
}

// writes counts them.
type writes struct {
	net.Conn
	n int
}

func (w *writes) Write(b []byte) (int, error) { w.n++; return len(b), nil }

// TestCompressPieces: what is written at once goes out in few pieces.
func TestCompressPieces(t *testing.T) {
	w := new(writes)
	c := Compress(w, 0)
	b := make([]byte, 64<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	if _, err := c.Write(b[:1000]); err != nil || w.n != 1 {
		t.Errorf("a small one: %d writes, %v", w.n, err)
	}
	if _, err := c.Write(b); err != nil || w.n > 7 {
		t.Errorf("a large one: %d writes, %v", w.n, err)
	}
}

// TestCompressLazy: making one neither reads nor writes.
func TestCompressLazy(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		_ = ours.SetDeadline(time.Now().Add(time.Second))
		c := Compress(ours, 1000)
		if n, err := c.Read(nil); n != 0 || err != nil {
			t.Error("nothing:", n, err)
		}
		if d := time.Since(time.Now()); d > 0 {
			t.Error("it waited", d)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the error of the connection is lost:", err)
		}
		if _, err := c.Write([]byte("x")); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("written after an error:", n, err)
		}
	})
}

// zlibIn is a connection of which only reading works.
type zlibIn struct {
	net.Conn
	io.Reader
}

func (c zlibIn) Read(b []byte) (int, error) { return c.Reader.Read(b) }

// deflated is a text in zlib, flushed at its end, with no end of its own.
func deflated(t testing.TB, level int, write func(w io.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err == nil {
		write(w)
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCompressBytes: byte by byte, cut off anywhere, and wrong.
func TestCompressBytes(t *testing.T) {
	text := strings.Repeat("<message from='juliet@example.test'><body>Art thou not Romeo?</body></message>", 4)
	for _, level := range []int{zlib.NoCompression, zlib.BestSpeed, zlib.BestCompression, zlib.HuffmanOnly} {
		wire := deflated(t, level, func(w io.Writer) { _, _ = io.WriteString(w, text) })
		for cut := range len(wire) + 1 {
			got, err := io.ReadAll(Compress(zlibIn{Reader: &drip{data: wire[:cut]}}, 1<<20))
			if err != nil || !strings.HasPrefix(text, string(got)) || cut == len(wire) && string(got) != text {
				t.Fatalf("level %d, %d of %d bytes: %d of %d, %v", level, cut, len(wire), len(got), len(text), err)
			}
		}
	}
	for _, wrong := range []string{"<stream:stream>", "\x78\x9d", "\x78\xbb\x00\x00\x00\x02", "\x78\x9c\x07", "\x78\x9c\x00\x01\x00\x01\x00"} {
		got, err := io.ReadAll(Compress(zlibIn{Reader: strings.NewReader(wrong)}, 1000))
		if err == nil || err == io.EOF || len(got) > 0 {
			t.Errorf("%q: %q, %v", wrong, got, err)
		}
	}
	// A peer that ends its zlib has ended.
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, "bye")
	_ = w.Close()
	c := Compress(zlibIn{Reader: &b}, 1000)
	if got, err := io.ReadAll(c); string(got) != "bye" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Error("after the end:", n, err)
	}
}

// drip gives one byte at a time, and now and then none.
type drip struct {
	data []byte
	n    int
}

func (d *drip) Read(b []byte) (int, error) {
	if len(d.data) == 0 {
		return 0, io.EOF
	}
	if d.n++; d.n%7 == 0 {
		return 0, nil
	}
	b[0], d.data = d.data[0], d.data[1:]
	return 1, nil
}

// TestCompressRatio: stanzas that repeat each other pass for ever, and each element may be as large as the limit, whatever it is made of.
func TestCompressRatio(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		zw := zlib.NewWriter(w)
		for i := range 500 {
			_, _ = io.WriteString(zw, "<presence from='juliet@example.test/"+string(rune('a'+i%20))+"' to='romeo@example.test'><show>away</show><priority>1</priority></presence>")
			_ = zw.Flush()
		}
		for range 30 {
			_, _ = io.WriteString(zw, strings.Repeat("a", 90_000))
			if zw.Flush() != nil {
				return
			}
		}
		_ = w.Close()
	}()
	c := Compress(zlibIn{Reader: r}, 100_000)
	b := make([]byte, 10_000)
	total := 0
	for {
		n, err := c.Read(b)
		if total += n; err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("after %d bytes: %v", total, err)
		}
		if b[n-1] == '>' || total%90_000 < 10_000 {
			c.Completed()
		}
	}
	if total < 30*90_000 {
		t.Error("only", total)
	}
}

// bomb inflates to so much; it is about a thousandth of it. Once the window is full of one byte, every piece is the same.
func bomb(t testing.TB, b byte, inflated int) []byte {
	t.Helper()
	piece := bytes.Repeat([]byte{b}, 1<<20)
	pieces := make([]int, 2)
	wire := deflated(t, zlib.BestCompression, func(w io.Writer) {
		for range pieces {
			_, _ = w.Write(piece)
			_ = w.(*zlib.Writer).Flush()
		}
	})
	half := len(deflated(t, zlib.BestCompression, func(w io.Writer) { _, _ = w.Write(piece) }))
	again := bytes.TrimSuffix(wire[half:], []byte{0, 0, 0, 0xff, 0xff}) // the flush of deflated
	return append(wire[:half:half], bytes.Repeat(again, inflated/len(piece)-1)...)
}

// TestSec_TLS11: 1 GiB in 1 MiB ends after bounded work and in bounded memory, whoever reads.
func TestSec_TLS11(t *testing.T) {
	testkit.Goroutines(t)
	wire := bomb(t, ' ', 1<<30)
	if len(wire) > 2<<20 {
		t.Fatalf("the bomb has %d bytes", len(wire))
	}
	for _, limit := range []int{0, 64 << 10, 1 << 20, 16 << 20} {
		in := bytes.NewReader(wire)
		c := Compress(zlibIn{Reader: in}, limit)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		runtime.ReadMemStats(&after)
		read := int64(len(wire)) - int64(in.Len())
		if most := int64(limit) + inflateRatio*read; !errors.Is(err, ErrInflated) || n > most || n > int64(limit)*5/4+512<<10 {
			t.Errorf("limit %d: %d bytes inflated of %d, %v", limit, n, read, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > max(2*uint64(limit), 512<<10) {
			t.Errorf("limit %d: %d bytes of memory", limit, used)
		}
		if m, err := c.Read(make([]byte, 10)); m != 0 || !errors.Is(err, ErrInflated) {
			t.Errorf("limit %d: it goes on: %d, %v", limit, m, err)
		}
	}
	// In front of a bomb there may be much that is honest: it does not pay for it.
	honest := make([]byte, 1<<20)
	rnd := rand.NewChaCha8([32]byte{})
	_, _ = rnd.Read(honest)
	var head bytes.Buffer
	w := zlib.NewWriter(&head)
	_, _ = w.Write(honest)
	_ = w.Flush()
	spaces := bomb(t, ' ', 300<<20)
	_, _ = w.Write(bytes.Repeat([]byte{' '}, 1<<20)) // so that the window is that of the bomb
	_ = w.Flush()
	head.Write(spaces[2:])
	if all, err := io.Copy(io.Discard, proxied(zlib.NewReader(bytes.NewReader(bomb(t, ' ', 32<<20))))); all != 32<<20 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the bomb has %d bytes, %v", all, err)
	}
	if n, err := io.Copy(io.Discard, struct{ io.Reader }{Compress(zlibIn{Reader: &head}, 1<<20)}); !errors.Is(err, ErrInflated) || n > 5<<20 {
		t.Errorf("a bomb behind honest data: %d bytes inflated, %v", n, err)
	}
}

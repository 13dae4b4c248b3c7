package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestReg_SendRefusesWhatNoServerTakes: an address that is none, a type that there is not, or nothing at all
// is an ErrInvalidParameter of Send and SendIQ, and nothing of it is written.
func TestReg_SendRefusesWhatNoServerTakes(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	ctx := within(t, 5*time.Second)
	bad := map[string]stanza.Elementer{"nil builder": (*stanza.Builder)(nil), "nil element": stanza.Raw((*etree.Element)(nil))}
	for _, xml := range []string{
		"<message to='@@'/>", "<message from='@@'/>", "<message to=''/>", "<message type='bogus'/>", "<message type='CHAT'/>",
		"<presence to='a@'/>", "<presence type='bogus'/>", "<presence type='available'/>",
		"<iq type='get' to='@@'><q xmlns='urn:x'/></iq>", "<iq type='bogus'><q xmlns='urn:x'/></iq>", "<iq><q xmlns='urn:x'/></iq>",
	} {
		bad[xml] = element(t, xml)
	}
	for name, e := range bad {
		if r, err := s.SendReceipt(ctx, e); !errors.Is(err, xmpp.ErrInvalidParameter) || r != nil {
			t.Errorf("Send of %s returned %v", name, err)
		}
	}
	iq, err := stanza.IQFrom(element(t, "<iq type='get' to='@@'><q xmlns='urn:x'/></iq>").Element())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SendIQ(ctx, iq); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("SendIQ returned %v", err)
	}
	if err := s.Send(ctx, element(t, "<message id='good'/>")); err != nil {
		t.Error(err)
	}
	expect(t, p, "<message id='good'/>")
}

// TestReg_SendWithRoomIgnoresCtx: a ctx bounds waiting only. Where there is room there is no waiting.
func TestReg_SendWithRoomIgnoresCtx(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	if err := s.Send(noGrace, msg("1", "x")); err != nil {
		t.Errorf("Send returned %v", err)
	}
	expect(t, p, "<message type='chat' id='1' to='bob@example.test'><body>x</body></message>")
}

// TestReg_SlowSentDelegate: whoever sends faster than a SentDelegate listens waits for it, after a queue's worth and what
// the writer holds; the delegate itself may send meanwhile, and the stream stays up.
func TestReg_SlowSentDelegate(t *testing.T) {
	checkGoroutines(t)
	const total = 6 * xmpp.QueueStanzas
	raw := newRawServer(t, plainLogin(func(*rawConn) {}))
	leave, own := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	s := login(t, raw.plainConfig(), xmpp.Delegate{Name: "slow", Sent: sentFunc(func(ctx context.Context, s *xmpp.Stream) {
		once.Do(func() {
			<-leave
			own <- s.Send(ctx, msg("own", "x"))
		})
	})})
	var sent atomic.Int32
	result := make(chan error, 1)
	go func() {
		m, ctx := msg("m", "x"), within(t, 20*time.Second)
		for range total {
			if err := s.Send(ctx, m); err != nil {
				result <- err
				return
			}
			sent.Add(1)
		}
		result <- nil
	}()
	for before := int32(-1); before != sent.Load() || before < xmpp.QueueStanzas && len(result) == 0; time.Sleep(100 * time.Millisecond) {
		before = sent.Load()
	}
	if n := sent.Load(); n < xmpp.QueueStanzas || n > 4*xmpp.QueueStanzas {
		t.Errorf("%d of %d were taken while the delegate was busy with the first", n, total)
	}
	close(leave)
	if err := soon(t, own, 5*time.Second, "Send in the callback"); err != nil {
		t.Errorf("Send in the callback returned %v", err)
	}
	if err := soon(t, result, 20*time.Second, "the sends"); err != nil || !s.IsAuthenticated() {
		t.Errorf("Send returned %v, the stream is %v", err, s.State())
	}
}

// TestReg_ReceiptsOfDisconnect: a receipt of what was being written when the connection ended says unknown, of what was
// behind it not delivered, each with a DisconnectedError; in the order of sending.
func TestReg_ReceiptsOfDisconnect(t *testing.T) {
	checkGoroutines(t)
	stop := make(chan struct{})
	raw := newRawServer(t, plainLogin(func(*rawConn) { <-stop }))
	defer close(stop)
	s := login(t, raw.plainConfig())
	var receipts []*xmpp.Receipt
	for i := range 20 {
		r, err := s.SendReceipt(context.Background(), msg(fmt.Sprint(i), strings.Repeat("x", 40<<10)))
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
		switch i {
		case 0:
			<-r.Done() // it has found room
		case 1:
			time.Sleep(50 * time.Millisecond) // it is being written, and the others wait behind it
		}
	}
	s.Disconnect()
	count, last := map[xmpp.ReceiptState]int{}, xmpp.ReceiptWritten
	order := map[xmpp.ReceiptState]int{xmpp.ReceiptWritten: 0, xmpp.ReceiptUnknown: 1, xmpp.ReceiptNotDelivered: 2}
	for i, r := range receipts {
		state, err := r.Wait(within(t, 5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		count[state]++
		if order[state] < order[last] {
			t.Errorf("receipt %d is %v behind one that is %v", i, state, last)
		}
		last = state
		var gone *xmpp.DisconnectedError
		if state != xmpp.ReceiptWritten && !errors.As(r.Err(), &gone) {
			t.Errorf("receipt %d: %v with %v", i, state, r.Err())
		}
	}
	if count[xmpp.ReceiptUnknown] == 0 || count[xmpp.ReceiptNotDelivered] == 0 {
		t.Errorf("receipts: %v", count)
	}
}

// slowConn takes data slowly, but takes it.
type slowConn struct {
	net.Conn
	slow *atomic.Bool
}

func (c slowConn) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		if c.slow.Load() {
			time.Sleep(60 * time.Millisecond)
		}
		var m int
		m, err = c.Conn.Write(b[:min(len(b), 16<<10)])
		n, b = n+m, b[m:]
	}
	return n, err
}

// TestReg_SlowConnectionIsNotDead: Config.WriteTimeout ends a connection that takes nothing, not one that takes longer than that.
func TestReg_SlowConnectionIsNotDead(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		raw := newRawServer(t, plainLogin(func(*rawConn) {}))
		cfg, slow := raw.plainConfig(), &atomic.Bool{}
		cfg.WriteTimeout = time.Second
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := raw.Dial(ctx, network, addr)
			return slowConn{c, slow}, err
		}
		s := login(t, cfg)
		slow.Store(true)
		start := time.Now()
		r, err := s.SendReceipt(context.Background(), msg("big", strings.Repeat("x", 800<<10)))
		if err != nil {
			t.Fatal(err)
		}
		if state, err := r.Wait(within(t, time.Minute)); state != xmpp.ReceiptWritten || err != nil {
			t.Errorf("after %v the receipt is %v: %v", time.Since(start), state, r.Err())
		}
		if took := time.Since(start); took < 2*cfg.WriteTimeout {
			t.Errorf("it was written within %v: this run proves nothing", took)
		}
		slow.Store(false)
	})
}

// TestReg_InterceptorAndRequest: SendIQ waits for the answer to the request that was sent, also when an interceptor has given it
// another id, and refuses what is no request any more.
func TestReg_InterceptorAndRequest(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	to := xmpp.MustParseJID("bob@example.test/x")
	remove := s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
		iq = iq.Copy()
		iq.SetID("new")
		return iq
	}})
	result := make(chan error, 1)
	go func() {
		_, err := s.SendIQ(within(t, 5*time.Second), inquiry(to, "1"))
		result <- err
	}()
	expect(t, p, "<iq type='get' id='new' to='bob@example.test/x'>*</iq>")
	inject(t, p, "<iq type='result' id='new' from='bob@example.test/x'/>")
	if err := soon(t, result, 5*time.Second, "SendIQ"); err != nil {
		t.Errorf("SendIQ returned %v", err)
	}
	remove()
	s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ { return iq.Result(nil) }})
	if _, err := s.SendIQ(within(t, 5*time.Second), inquiry(to, "2")); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("SendIQ of what became a result returned %v", err)
	}
}

// TestReg_LargeStanzaIsChargedOnce: a stanza counts once in a queue, however many delegates share the queue.
func TestReg_LargeStanzaIsChargedOnce(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	const size = 1 << 20
	const delegates = xmpp.QueueHardBytes/size + 2
	q, entered, leave := xmpp.NewQueue(), make(chan struct{}), make(chan struct{})
	var got atomic.Int32
	var once sync.Once
	first := onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) {
		once.Do(func() { close(entered) })
		<-leave
	})
	first.Queue = q
	s, p := peer(t, srv, configFor(srv, "alice"), first)
	inject(t, p, bobSays)
	soon(t, entered, 5*time.Second, "the callback")
	for range delegates {
		d := onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) { got.Add(1) })
		d.Queue = q
		s.AddDelegate(d)
	}
	inject(t, p, "%s", "<message from='bob@example.test/x'><body>"+strings.Repeat("x", size)+"</body></message>")
	inject(t, p, "<iq type='get' id='1' from='bob@example.test/x'><q xmlns='urn:x'/></iq>")
	expect(t, p, "<iq type='error' id='1' to='bob@example.test/x'>*</iq>") // so all of it has been posted
	close(leave)
	if err := q.Flush(within(t, 10*time.Second)); err != nil || got.Load() != delegates || !s.IsAuthenticated() {
		t.Errorf("Flush returned %v, %d of %d callbacks ran, the stream is %v", err, got.Load(), delegates, s.State())
	}
}

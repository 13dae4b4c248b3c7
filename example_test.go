package xmpp_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// Two accounts and a message. The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx := context.Background()

	romeo, err := xmpp.New(srv.Config("romeo"))
	if err != nil {
		fmt.Println(err)
		return
	}
	got := make(chan string)
	romeo.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(ctx context.Context, s *xmpp.Stream, m *stanza.Message) {
		got <- m.From().Local() + " says " + m.Body()
	})})
	juliet, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := errors.Join(romeo.Login(ctx), juliet.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	if err := juliet.Send(ctx, stanza.NewMessage(stanza.Chat, romeo.MyJID().Bare(), "Art thou not Romeo?")); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-got)
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// juliet says Art thou not Romeo?
	// <nil>
}

// loggedIn is for the examples below: a server, a stream that is logged in, and what ends both.
func loggedIn(user string, opts ...xmpptest.Option) (*xmpp.Stream, *xmpptest.Server, func()) {
	srv := xmpptest.StartServer(opts...)
	s, err := xmpp.New(srv.Config(user))
	if err == nil {
		err = s.Login(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return s, srv, func() {
		_ = s.Close(context.Background())
		srv.Close()
	}
}

func ExampleStream_SendIQ() {
	stream, _, end := loggedIn("juliet")
	defer end()

	ask := stanza.NewIQ(stanza.Get, stream.MyJID().DomainJID(), stanza.New("query", "urn:example:unknown"))
	_, err := stream.SendIQ(context.Background(), ask)
	fmt.Println(errors.Is(err, stanza.ServiceUnavailable))

	answer, err := stream.SendIQ(context.Background(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster")))
	fmt.Println(answer.Type(), err)
	// Output:
	// true
	// result <nil>
}

// A bot that answers a namespace of its own.
func ExampleStream_HandleIQ() {
	stream, _, end := loggedIn("clock")
	defer end()
	const ns = "urn:example:clock"
	_, err := stream.HandleIQ(stanza.Get, ns, "time", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		_ = s.Send(ctx, iq.Result(stanza.New("time", ns).T("high noon")))
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	answer, err := stream.SendIQ(context.Background(), stanza.NewIQ(stanza.Get, stream.MyJID(), stanza.New("time", ns)))
	fmt.Println(stanza.Text(answer.Payload()), err)
	// Output: high noon <nil>
}

// A thousand messages, and what became of them.
func ExampleReceipt() {
	stream, srv, end := loggedIn("juliet")
	defer end()
	ctx := context.Background()
	var receipts []*xmpp.Receipt
	for i := range 1000 {
		r, err := stream.SendReceipt(ctx, stanza.NewMessage(stanza.Chat, srv.JID("juliet"), fmt.Sprint(i)))
		if err != nil {
			fmt.Println(err)
			return
		}
		receipts = append(receipts, r)
	}
	count := map[xmpp.ReceiptState]int{}
	for _, r := range receipts {
		state, err := r.Wait(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		count[state]++
	}
	fmt.Println(count)
	// Output: map[written:1000]
}

// listener implements the families that it wants to hear of.
type listener struct{ events chan string }

func (l listener) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	l.events <- "message " + m.Body()
}

func (l listener) WillConnect(context.Context, *xmpp.Stream) { l.events <- "will connect" }
func (l listener) DidConnect(context.Context, *xmpp.Stream)  { l.events <- "connected" }
func (l listener) DidDisconnect(_ context.Context, _ *xmpp.Stream, err error) {
	l.events <- fmt.Sprint("disconnected ", err)
}

func ExampleDelegateOf() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	l := listener{make(chan string, 10)}
	stream.AddDelegate(xmpp.DelegateOf(l))
	ctx := context.Background()
	if err := stream.Login(ctx); err != nil {
		fmt.Println(err)
	}
	if err := stream.Send(ctx, stanza.NewMessage(stanza.Chat, stream.MyJID(), "to myself")); err != nil {
		fmt.Println(err)
	}
	for range 3 {
		fmt.Println(<-l.events)
	}
	_ = stream.Close(ctx)
	fmt.Println(<-l.events)
	// Output:
	// will connect
	// connected
	// message to myself
	// disconnected <nil>
}

// One queue for two delegates: one order for both.
func ExampleQueue() {
	stream, _, end := loggedIn("juliet")
	defer end()
	q := xmpp.NewQueue()
	stream.AddDelegate(xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
		fmt.Println("message", m.Body())
	})})
	stream.AddDelegate(xmpp.Delegate{Queue: q, Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
		if p.Status() != "" { // the initial presence has none
			fmt.Println("presence", p.Status())
		}
	})})
	ctx := context.Background()
	for i := range 2 {
		p := stanza.NewPresence(stanza.Available, stream.MyJID())
		p.SetStatus(fmt.Sprint(i))
		_ = stream.Send(ctx, stanza.NewMessage(stanza.Chat, stream.MyJID(), fmt.Sprint(i)))
		_ = stream.Send(ctx, p)
	}
	// The answer to a question comes behind what was sent before; Flush waits for the callbacks.
	_, _ = stream.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster")))
	_ = q.Flush(ctx)
	// Output:
	// message 0
	// presence 0
	// message 1
	// presence 1
}

func ExampleInterceptor() {
	stream, _, end := loggedIn("juliet")
	defer end()
	remove := stream.AddInterceptor(xmpp.Interceptor{
		Name: "no shouting",
		WillSendMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			if m.Body() == "HEY" {
				return nil
			}
			return m
		},
	})
	defer remove()
	err := stream.Send(context.Background(), stanza.NewMessage(stanza.Chat, stream.MyJID(), "HEY"))
	fmt.Println(errors.Is(err, xmpp.ErrDropped))
	// Output: true
}

// counter is a module: it counts messages, and tells its delegates.
type counter struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[func(n int)]
	n         int // of Receive alone
}

func (c *counter) Name() string                  { return "counter" }
func (c *counter) Activate(s *xmpp.Stream) error { return c.Attach(s, c, nil) }

func (c *counter) Receive(_ context.Context, st stanza.Stanza) {
	if _, ok := st.(*stanza.Message); ok {
		c.n++
		n := c.n
		c.delegates.Notify(c.Stream(), func(_ context.Context, f func(int)) { f(n) })
	}
}

func ExampleModuleBase() {
	stream, _, end := loggedIn("juliet")
	defer end()
	c := &counter{}
	if err := c.Activate(stream); err != nil {
		fmt.Println(err)
		return
	}
	defer c.Deactivate()
	counts := make(chan int)
	c.delegates.Add("example", nil, func(n int) { counts <- n })

	_, ok := xmpp.ModuleOf[*counter](stream)
	fmt.Println(ok, errors.Is(c.Activate(stream), xmpp.ErrModuleActive))
	for range 2 {
		_ = stream.Send(context.Background(), stanza.NewMessage(stanza.Chat, stream.MyJID(), "x"))
		fmt.Println(<-counts)
	}
	// Output:
	// true true
	// 1
	// 2
}

func ExampleAutoDelegate() {
	stream, _, end := loggedIn("juliet")
	defer end()
	stop := xmpp.AutoDelegate(stream, func(c *counter) (detach func()) {
		fmt.Println("a counter is active")
		return func() { fmt.Println("it is not any more") }
	})
	defer stop()
	c := &counter{}
	_ = c.Activate(stream)
	c.Deactivate()
	// Output:
	// a counter is active
	// it is not any more
}

// What went wrong, where, and what the server said.
func ExampleAuthError() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	config := srv.Config("juliet")
	config.Credentials = xmpp.Password("not it")
	stream, err := xmpp.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	var failed *xmpp.AuthError
	if err = stream.Login(context.Background()); errors.As(err, &failed) {
		fmt.Println(failed.Step, failed.Mechanism, failed.Condition)
	}
	// Output: SASL SCRAM-SHA-512-PLUS not-authorized
}

func ExampleConnectError() {
	stream, err := xmpp.New(xmpp.Config{JID: xmpp.MustParseJID("juliet@example.org"), Host: "127.0.0.1", Port: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	var failed *xmpp.ConnectError
	if err = stream.Connect(context.Background()); errors.As(err, &failed) {
		for _, a := range failed.Attempts {
			fmt.Println(a.Step, a.Addr)
		}
	}
	// Output: dial 127.0.0.1:1
}

func ExampleStreamError() {
	stream, srv, end := loggedIn("juliet")
	defer end()
	srv.StreamError(stream.MyJID(), "conflict", "")
	err := stream.Wait(context.Background())
	fmt.Println(errors.Is(err, &xmpp.StreamError{Condition: "conflict"}))
	// Output: true
}

func ExampleSecurity() {
	stream, _, end := loggedIn("juliet")
	defer end()
	sec := stream.Security()
	fmt.Println(sec.TLS, sec.Mechanism, sec.ChannelBinding)
	// Output: true SCRAM-SHA-512-PLUS tls-exporter
}

// Mechanisms of one's own choice: here SCRAM-SHA-256 and nothing else.
func ExampleMechanisms() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	srv.AddAccount("juliet", "secret")
	config := srv.Config("juliet")
	config.Credentials = xmpp.Mechanisms(func(context.Context) ([]byte, error) { return []byte("secret"), nil }, sasl.ScramSHA256())
	stream, err := xmpp.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := stream.Login(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(stream.Security().Mechanism)
	_ = stream.Close(context.Background())
	// Output: SCRAM-SHA-256
}

// greeter binds as the stream would, and has a look at the features before.
type greeter struct{}

func (greeter) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return greeter{} }

func (greeter) Bind(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	fmt.Println("binding offered:", stanza.Child(b.Features(), "bind", "urn:ietf:params:xml:ns:xmpp-bind") != nil)
	jid, err := b.Ordinary(ctx)
	return xmpp.SessionNew, jid, err
}

func ExampleBinder() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.AddDelegate(xmpp.Delegate{Bind: greeter{}})
	fmt.Println(stream.Login(context.Background()))
	_ = stream.Close(context.Background())
	// Output:
	// binding offered: true
	// <nil>
}

// nonzas listens to elements that are no stanzas.
type nonzas chan string

func (n nonzas) DidReceiveElement(_ context.Context, _ *xmpp.Stream, e *etree.Element, _ bool) {
	n <- "received " + e.Tag
}
func (n nonzas) DidSendElement(_ context.Context, _ *xmpp.Stream, e *etree.Element) {
	n <- "sent " + e.Tag
}

func ExampleStream_RegisterElement() {
	stream, srv, end := loggedIn("juliet")
	defer end()
	defer stream.RegisterElement("hint", "urn:example:hint")()
	heard := make(nonzas, 2)
	stream.AddDelegate(xmpp.Delegate{Element: heard})
	srv.SendRaw(stream.MyJID(), []byte("<hint xmlns='urn:example:hint'/>"))
	fmt.Println(<-heard)
	// Output: received hint
}

// Await waits for something that comes through the stream, here for one's own presence.
func ExampleStream_Await() {
	stream, _, end := loggedIn("juliet")
	defer end()
	back := make(chan struct{})
	remove := stream.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
		if p.Status() == "echo" {
			close(back)
		}
	})})
	p := stanza.NewPresence(stanza.Available, stream.MyJID())
	p.SetStatus("echo")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := stream.Send(ctx, p); err != nil {
		fmt.Println(err)
	}
	fmt.Println(stream.Await(ctx, back), remove(ctx))
	// Output: <nil> <nil>
}

func ExampleStream() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(stream.State())
	if err := stream.Login(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stream.State(), stream.MyJID().Bare(), stream.IsSecure())
	fmt.Println(stream.Close(ctx), stream.Wait(ctx))
	// Output:
	// disconnected
	// connected juliet@example.test true
	// <nil> <nil>
}

// pins trusts one certificate, whoever signed it.
type pins struct{ fingerprint [sha256.Size]byte }

func (p pins) DidReceiveTrust(_ context.Context, _ *xmpp.Stream, chain []*x509.Certificate, verifyErr error) error {
	if len(chain) > 0 && sha256.Sum256(chain[0].Raw) == p.fingerprint {
		return nil
	}
	return cmp.Or(verifyErr, errors.New("not the pinned certificate"))
}

// A server with a certificate that no authority has signed.
func ExampleTrustDelegate() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	config := srv.Config("juliet")
	config.RootCAs = x509.NewCertPool() // nobody is trusted
	for _, known := range []bool{false, true} {
		stream, err := xmpp.New(config)
		if err != nil {
			fmt.Println(err)
			return
		}
		var p pins
		if known {
			p.fingerprint = sha256.Sum256(srv.Certificate().Raw)
		}
		stream.AddDelegate(xmpp.Delegate{Trust: p})
		fmt.Println(stream.Login(context.Background()) == nil)
		_ = stream.Close(context.Background())
	}
	// Output:
	// false
	// true
}

// The password is asked for when it is needed, and not kept.
func ExamplePasswordFunc() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	srv.AddAccount("juliet", "secret")
	config := srv.Config("juliet")
	config.Credentials = xmpp.PasswordFunc(func(context.Context) ([]byte, error) {
		fmt.Println("the password, please")
		return []byte("secret"), nil
	})
	stream, err := xmpp.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stream.Login(context.Background()))
	_ = stream.Close(context.Background())
	// Output:
	// the password, please
	// <nil>
}

func ExampleStats() {
	stream, _, end := loggedIn("juliet")
	defer end()
	_, _ = stream.SendIQ(context.Background(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster")))
	st := stream.Stats()
	fmt.Println(st.StanzasSent >= 1, st.BytesReceived > 0, st.Forged)
	// Output: true true 0
}

// The state of a module begins anew with each session, before anything of that session arrives.
func ExampleSessionReceiver() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	m := &beginnings{}
	if err := m.Activate(stream); err != nil {
		fmt.Println(err)
	}
	for range 2 {
		fmt.Println(stream.Login(context.Background()))
		stream.Disconnect()
	}
	fmt.Println(m.n)
	_ = stream.Close(context.Background())
	// Output:
	// <nil>
	// <nil>
	// 2
}

type beginnings struct {
	xmpp.ModuleBase
	n int
}

func (b *beginnings) Name() string                                     { return "beginnings" }
func (b *beginnings) Activate(s *xmpp.Stream) error                    { return b.Attach(s, b, nil) }
func (b *beginnings) ReceiveSession(context.Context, xmpp.SessionKind) { b.n++ }

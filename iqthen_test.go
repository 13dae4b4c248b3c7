package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// thenModule is a module that notes what it receives.
type thenModule struct {
	xmpp.ModuleBase
	mu    sync.Mutex
	lines []string
}

func (*thenModule) Name() string                    { return "then" }
func (l *thenModule) Activate(s *xmpp.Stream) error { return l.Attach(s, l, nil) }
func (l *thenModule) Receive(_ context.Context, st stanza.Stanza) {
	l.note("%s %s", st.Name(), st.ID())
}

func (l *thenModule) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *thenModule) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.Join(l.lines, ", ")
	l.lines = nil
	return text
}

const forbidden = "<iq type='error' id='{id}'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"

// TestSendIQThen: the answer is taken over where it stands in the stream: after what came before it, after the modules, before delegates and before what comes behind.
func TestSendIQThen(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	l, q := new(thenModule), xmpp.NewQueue()
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.Delegate{Queue: q, IQ: xmpp.IQFunc(func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) bool {
		l.note("delegate %s", iq.Type())
		return false
	})})
	if err := l.Activate(s); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		answer string
		fails  error // of receive
		want   error
		lines  string
	}{
		"a result":            {"<iq type='result' id='{id}'/>", nil, nil, "message before, iq {id}, receive result, message behind"},
		"a result, refused":   {"<iq type='result' id='{id}'/>", errByTest, errByTest, "message before, iq {id}, receive result, message behind"},
		"an error":            {forbidden, nil, stanza.Forbidden, "message before, iq {id}, receive error, message behind"},
		"an error, explained": {forbidden, errByTest, errByTest, "message before, iq {id}, receive error, message behind"},
		"of somebody else": {"<iq type='result' id='{id}' from='mallory@example.test'/><iq type='result' id='{id}' from='alice@example.test'/><iq type='result' id='{id}'/>", nil, nil,
			"message before, iq {id}, iq {id}, receive result, iq {id}, message behind"},
	} {
		done := make(chan error, 1)
		go func() {
			done <- s.SendIQThen(t.Context(), inquiry(xmpp.JID{}, "x"), func(ctx context.Context, answer *stanza.IQ) error {
				if err := q.Flush(context.Background()); err != nil { // what was posted before is noted before
					t.Error(err)
				}
				l.note("receive %s", answer.Type())
				if err := s.SendIQThen(ctx, inquiry(xmpp.JID{}, "x"), nil); !errors.Is(err, xmpp.ErrInInterceptor) {
					t.Errorf("%s: a request in receive: %v", name, err)
				}
				if err := s.Send(ctx, msg("r", "from receive")); err != nil {
					t.Errorf("%s: sending in receive: %v", name, err)
				}
				return tt.fails
			})
		}()
		el, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		id := stanza.AttrOr(el, "id", "")
		inject(t, p, "%s", "<message id='before'/>"+strings.ReplaceAll(tt.answer, "{id}", id)+"<message id='behind'/>")
		if err := soon(t, done, 5*time.Second, name); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: it returned %v, want %v", name, err, tt.want)
		}
		expect(t, p, "<message type='chat' to='bob@example.test' id='r'><body>from receive</body></message>")
		inject(t, p, "<iq type='get' id='end'><q xmlns='urn:none'/></iq>") // modules and delegates have seen everything
		expect(t, p, "<iq type='error' id='end'>*</iq>")
		var lines []string
		delegate := 0
		for _, line := range strings.Split(l.take(), ", ") {
			switch {
			case strings.HasPrefix(line, "delegate"):
				if delegate++; delegate == 1 && !strings.Contains(strings.Join(lines, ", "), "receive") {
					t.Errorf("%s: a delegate hears of the answer first", name)
				}
			case line != "iq end":
				lines = append(lines, line)
			}
		}
		if got, want := strings.Join(lines, ", "), strings.ReplaceAll(tt.lines, "{id}", id); got != want {
			t.Errorf("%s: %s\nwant: %s", name, got, want)
		}
	}
	s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
		iq = iq.Copy()
		iq.SetID("another")
		return iq
	}})
	done := make(chan error, 1)
	go func() {
		done <- s.SendIQThen(t.Context(), inquiry(xmpp.JID{}, "x"), func(context.Context, *stanza.IQ) error { return errByTest })
	}()
	expect(t, p, "<iq type='get' id='another'>*</iq>")
	inject(t, p, "<iq type='result' id='another'/>")
	if err := soon(t, done, 5*time.Second, "the answer"); !errors.Is(err, errByTest) {
		t.Errorf("with another id: %v", err)
	}
	if err := s.SendIQThen(t.Context(), stanza.NewIQ(stanza.Result, xmpp.JID{}, nil), nil); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("no request: %v", err)
	}
}

// TestRel_SendIQThenEnds: receive has run before SendIQThen returns, or never runs, whatever ends the request in the moment of its answer.
func TestRel_SendIQThenEnds(t *testing.T) {
	for name, end := range map[string]func(s *xmpp.Stream, cancel func()){
		"its ctx":        func(_ *xmpp.Stream, cancel func()) { cancel() },
		"the connection": func(s *xmpp.Stream, _ func()) { s.Fail(errByTest) },
		"Close":          func(s *xmpp.Stream, _ func()) { go func() { _ = s.Close(context.Background()) }() },
	} {
		for _, answered := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s answered %v", name, answered), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					raw := newRawServer(t, plainLogin(func(c *rawConn) { _ = c.SetDeadline(time.Time{}) }))
					s := login(t, raw.plainConfig())
					ctx, cancel := context.WithCancel(t.Context())
					iq := inquiry(xmpp.JID{}, "x")
					var ran, returned bool
					done := make(chan error, 1)
					go func() {
						done <- s.SendIQThen(ctx, iq, func(context.Context, *stanza.IQ) error {
							end(s, cancel)
							time.Sleep(time.Second) // it must not, but so the request ends meanwhile
							if ran = true; returned {
								t.Error("it had returned before")
							}
							return nil
						})
					}()
					synctest.Wait()
					if answered {
						answer := stanza.NewIQ(stanza.Result, xmpp.JID{}, nil)
						answer.SetID(iq.ID())
						if err := s.Inject(context.Background(), answer); err != nil {
							t.Error(err)
						}
					} else {
						end(s, cancel)
					}
					err := <-done
					returned = true
					if answered && (err != nil || !ran) || !answered && (err == nil || ran) {
						t.Errorf("it returned %v, receive ran: %v", err, ran)
					}
					_ = s.Close(context.Background())
					cancel()
				})
			})
		}
	}
}

// TestRel_SendIQThenPanics: where Config.OnPanic swallows a panic of receive, the request has failed and the stream goes on.
func TestRel_SendIQThenPanics(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{Handler: func(c *testserver.Session, e *etree.Element) bool {
		if e.SelectElement("ask") != nil {
			_ = c.SendRaw([]byte("<iq type='result' id='" + e.SelectAttrValue("id", "") + "'/>"))
			return true
		}
		return false
	}})
	panics := make(chan *xmpp.PanicError, 1)
	cfg := configFor(srv, "alice")
	cfg.OnPanic = func(e *xmpp.PanicError) { panics <- e }
	s := login(t, cfg)
	err := s.SendIQThen(t.Context(), inquiry(xmpp.JID{}, "x"), func(context.Context, *stanza.IQ) error { panic("oops") })
	if e := soon(t, panics, time.Second, "the panic"); err == nil || e.Value != "oops" {
		t.Errorf("it returned %v; %v", err, e)
	}
	if _, err := s.SendIQ(t.Context(), inquiry(xmpp.JID{}, "y")); err != nil {
		t.Error(err)
	}
}

// TestStartIQReceive: receive takes the answer of a request over that was started, whether anybody waits for it already or not, and also where the id is another.
func TestStartIQReceive(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	l := new(thenModule)
	s, p := peer(t, srv, configFor(srv, "alice"))
	if err := l.Activate(s); err != nil {
		t.Fatal(err)
	}
	s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
		if iq.IsGet() {
			iq = iq.Copy()
			iq.SetID("another")
		}
		return iq
	}})
	for name, tt := range map[string]struct {
		answer string
		fails  error // of receive
		want   error
	}{
		"a result":            {"<iq type='result' id='another'/>", nil, nil},
		"a result, refused":   {"<iq type='result' id='another'/>", errByTest, errByTest},
		"an error":            {strings.ReplaceAll(forbidden, "{id}", "another"), nil, stanza.Forbidden},
		"an error, explained": {strings.ReplaceAll(forbidden, "{id}", "another"), errByTest, errByTest},
	} {
		wait, err := s.StartIQ(t.Context(), inquiry(xmpp.JID{}, "x"), func(_ context.Context, answer *stanza.IQ) error {
			l.note("receive %s", answer.Type())
			return tt.fails
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, p, "<iq type='get' id='another'>*</iq>")
		inject(t, p, "%s", tt.answer+"<iq type='get' id='end'><q xmlns='urn:none'/></iq>")
		expect(t, p, "<iq type='error' id='end'>*</iq>")
		if got := l.take(); !strings.HasPrefix(got, "iq another, receive ") || !strings.HasSuffix(got, ", iq end") {
			t.Errorf("%s: %s", name, got)
		}
		if _, err := wait(t.Context()); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: wait returned %v, want %v", name, err, tt.want)
		}
	}
}

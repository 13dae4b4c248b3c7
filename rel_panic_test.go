package xmpp_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

const panicChild = "XMPP_TEST_PANIC_IN"

type clumsyModule struct{ xmpp.ModuleBase }

func (m *clumsyModule) Name() string                           { return "the clumsy one" }
func (m *clumsyModule) Activate(s *xmpp.Stream) error          { return m.Attach(s, m, nil) }
func (m *clumsyModule) Receive(context.Context, stanza.Stanza) { panic("oops") }

// TestRel_R18_NotSwallowed checks that without Config.OnPanic a panic ends the program and says whose it was:
// the test runs itself as another program.
func TestRel_R18_NotSwallowed(t *testing.T) {
	checkGoroutines(t)
	if where := os.Getenv(panicChild); where != "" {
		panicIn(t, where)
		return
	}
	for _, where := range []string{"delegate", "handler", "interceptor", "module", "IQ delegate"} {
		t.Run(where, func(t *testing.T) {
			ctx := within(t, 30*time.Second)
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestRel_R18_NotSwallowed$", "-test.v")
			cmd.Env = append(os.Environ(), panicChild+"="+where)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Fatalf("the program ended with %v:\n%s", err, out)
			}
			text := string(out)
			for _, want := range []string{"panic: ", "the clumsy one panicked: oops", "panicIn"} {
				if where == "module" && want == "panicIn" {
					want = "clumsyModule"
				}
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in what it says:\n%s", want, text)
				}
			}
			if strings.Contains(text, "survived") {
				t.Error("the program went on")
			}
		})
	}
}

func panicIn(t *testing.T, where string) {
	srv := newServer(t, testserver.Options{})
	s := login(t, configFor(srv, "alice"))
	switch where {
	case "delegate":
		s.AddDelegate(xmpp.Delegate{Name: "the clumsy one", Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) { panic("oops") })})
	case "IQ delegate":
		s.AddDelegate(xmpp.Delegate{Name: "the clumsy one", IQ: xmpp.IQFunc(func(context.Context, *xmpp.Stream, *stanza.IQ) bool { panic("oops") })})
	case "handler":
		_, _ = s.HandleIQ(stanza.Get, "the clumsy one", "", nil, func(context.Context, *xmpp.Stream, *stanza.IQ) { panic("oops") })
	case "interceptor":
		s.AddInterceptor(xmpp.Interceptor{Name: "the clumsy one", WillReceiveMessage: func(context.Context, *xmpp.Stream, *stanza.Message) *stanza.Message { panic("oops") }})
	case "module":
		_ = new(clumsyModule).Activate(s)
	}
	_ = srv.SendRaw(s.MyJID(), []byte("<message from='bob@example.test/x'/><iq type='get' id='1' from='bob@example.test/x'><q xmlns='the clumsy one'/></iq>"))
	time.Sleep(2 * time.Second)
	t.Log("survived")
}

package xmpp_test

import (
	"context"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// quiet is a module that is silent from the first moment: it begins a session as inactive (XEP-0352), in the login itself where the server does that.
type quiet struct {
	xmpp.ModuleBase
	inlined bool
}

func (q *quiet) Name() string                  { return "quiet" }
func (q *quiet) Activate(s *xmpp.Stream) error { return q.Attach(s, q, nil) }

func (q *quiet) Inline(_ context.Context, in *xmpp.Inline) error {
	q.inlined = false
	if in.BindOffers("urn:xmpp:csi:0") {
		in.AddToBind(stanza.New("inactive", "urn:xmpp:csi:0"))
	}
	return nil
}

func (q *quiet) Inlined(_ context.Context, r *xmpp.InlineResult) { q.inlined = r.Bound() != nil }

func (q *quiet) ReceiveSession(ctx context.Context, kind xmpp.SessionKind) {
	fmt.Println("with the login:", q.inlined)
	if !q.inlined && kind == xmpp.SessionNew {
		_ = q.Stream().Send(ctx, stanza.New("inactive", "urn:xmpp:csi:0"))
	}
	q.inlined = false
}

// Nobody here has an archive to catch up from.
func (q *quiet) CatchesUp() bool { return false }

func ExampleInliner() {
	for _, bind2 := range []bool{true, false} {
		srv := xmpptest.StartServer(xmpptest.WithSASL2())
		cfg := srv.Config("juliet")
		cfg.JID, cfg.Bind2 = cfg.JID.Bare(), bind2
		stream, err := xmpp.New(cfg)
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := new(quiet).Activate(stream); err != nil {
			fmt.Println(err)
		}
		if err := stream.Login(context.Background()); err != nil {
			fmt.Println(err)
		}
		_ = stream.Close(context.Background())
		srv.Close()
	}
	// Output:
	// with the login: true
	// with the login: false
}

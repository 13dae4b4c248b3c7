package xmpptest_test

import (
	"context"
	"strings"
	"testing"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

type goodDelegate struct{}

func (*goodDelegate) DidReceiveMessage(context.Context, *xmpp.Stream, *stanza.Message) {}
func (*goodDelegate) WillConnect(context.Context, *xmpp.Stream)                        {}
func (*goodDelegate) DidConnect(context.Context, *xmpp.Stream)                         {}
func (*goodDelegate) DidDisconnect(context.Context, *xmpp.Stream, error)               {}
func (*goodDelegate) RoomDidChange(context.Context, string)                            {}
func (*goodDelegate) Send(context.Context, string)                                     {}

type valueDelegate struct{}

func (valueDelegate) DidReceiveMessage(context.Context, *xmpp.Stream, *stanza.Message) {}

type misspelt struct{}

func (misspelt) DidRecieveMessage(context.Context, *xmpp.Stream, *stanza.Message) {}

type wrongCase struct{}

func (wrongCase) DidReceiveIq(context.Context, *xmpp.Stream, *stanza.IQ) bool { return false }

type wrongParameters struct{}

func (wrongParameters) DidReceiveMessage(*xmpp.Stream, *stanza.Message) {}

type wrongResult struct{}

func (wrongResult) DidReceiveIQ(context.Context, *xmpp.Stream, *stanza.IQ) {}

type incomplete struct{}

func (incomplete) DidConnect(context.Context, *xmpp.Stream)           {}
func (incomplete) DidDisconnect(context.Context, *xmpp.Stream, error) {}

type unknown struct{}

func (unknown) DidEatBreakfast(context.Context, *xmpp.Stream) {}

type roomDelegate interface {
	RoomDidChange(ctx context.Context, subject string)
}

type moduleDelegates struct{ Room roomDelegate }

type nearRoom struct{}

func (nearRoom) RoomDidChnage(context.Context, string) {}

func TestCheckDelegate(t *testing.T) {
	tests := []struct {
		name     string
		v        any
		families []any
		want     []string // one for each problem
	}{
		{"good", &goodDelegate{}, nil, nil},
		{"good, with a module", &goodDelegate{}, []any{(*roomDelegate)(nil)}, nil},
		{"good value", valueDelegate{}, nil, nil},
		{"pointer to it", &valueDelegate{}, nil, nil},
		{"misspelt", misspelt{}, nil, []string{"DidRecieveMessage is no callback: did you mean DidReceiveMessage(context.Context, *xmpp.Stream, *stanza.Message)?"}},
		{"case", wrongCase{}, nil, []string{"did you mean DidReceiveIQ(context.Context, *xmpp.Stream, *stanza.IQ) bool?"}},
		{"parameters", wrongParameters{}, nil, []string{"DidReceiveMessage(*xmpp.Stream, *stanza.Message) is not the callback of xmpp.MessageDelegate: that is DidReceiveMessage(context.Context, *xmpp.Stream, *stanza.Message)"}},
		{"result", wrongResult{}, nil, []string{"is not the callback of xmpp.IQDelegate: that is DidReceiveIQ(context.Context, *xmpp.Stream, *stanza.IQ) bool"}},
		{"incomplete", incomplete{}, nil, []string{"it has DidConnect but not WillConnect of xmpp.ConnectionDelegate"}},
		{"pointer receivers", goodDelegate{}, nil, []string{"DidConnect has a pointer receiver", "DidDisconnect has", "DidReceiveMessage has", "WillConnect has"}},
		{"unknown", unknown{}, nil, []string{"DidEatBreakfast(context.Context, *xmpp.Stream) looks like a callback"}},
		{"a module's, not given", nearRoom{}, nil, nil},
		{"a module's interface", nearRoom{}, []any{(*roomDelegate)(nil)}, []string{"RoomDidChnage is no callback: did you mean RoomDidChange(context.Context, string)?"}},
		{"a module's struct", nearRoom{}, []any{moduleDelegates{}}, []string{"did you mean RoomDidChange"}},
		{"nil", nil, nil, []string{"nil"}},
		{"no family", &goodDelegate{}, []any{7, struct{}{}, nil}, []string{"int is neither", "struct {} is neither", "<nil> is neither"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := failures(t, func(fake testing.TB) { xmpptest.CheckDelegate(fake, tt.v, tt.families...) })
			contains(t, got, tt.want...)
			n := 0
			if got != "" {
				n = len(strings.Split(got, "\n"))
			}
			if n != len(tt.want) {
				t.Errorf("%d problems, want %d:\n%s", n, len(tt.want), got)
			}
		})
	}
}

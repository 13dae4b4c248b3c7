package muc_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

// echo answers what begins with its name.
type echo struct{}

func (echo) RoomDidReceiveMessage(ctx context.Context, r *muc.Room, m *muc.Message) {
	if text, ok := strings.CutPrefix(m.Body, r.Nick()+": "); ok && !m.Own && !m.Delayed {
		if _, err := r.Send(ctx, m.Nick+": "+text); err != nil {
			fmt.Println(err)
		}
	}
}

func Example() {
	stream, err := xmpp.New(xmpp.Config{JID: xmpp.MustParseJID("echo@example.org"), Credentials: xmpp.Password("secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := muc.New(muc.Config{})
	m.AddDelegate(muc.Delegate{Message: echo{}}, nil)
	if err := m.Activate(stream); err != nil {
		fmt.Println(err)
	}
}

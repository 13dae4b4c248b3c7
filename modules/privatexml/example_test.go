package privatexml_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/privatexml"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client that keeps a setting on the server, where its next installation finds it.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	p := privatexml.New(privatexml.Config{})
	if err := errors.Join(p.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	const ns = "https://example.com/prefs"
	prefs, err := p.Get(ctx, "prefs", ns)
	fmt.Println("nothing yet:", privatexml.IsEmpty(prefs), err)

	err = p.Set(ctx, stanza.New("prefs", ns).C("theme").T("dark"))
	prefs, err2 := p.Get(ctx, "prefs", ns)
	fmt.Println(stanza.ChildText(prefs, "theme", ns), errors.Join(err, err2))

	if err := errors.Join(p.Remove(ctx, "prefs", ns), stream.Close(ctx)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// nothing yet: true <nil>
	// dark <nil>
}

package caps_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/caps/capstest"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// watcher hears what others can do.
type watcher chan string

func (w watcher) CapsDidDiscover(_ context.Context, c *caps.Caps, of xmpp.JID, info *disco.Info) {
	if of == c.Stream().MyJID() {
		return
	}
	id, _ := info.Identity("client", "")
	w <- fmt.Sprintf("%s uses %s, which answers pings: %v", of.Local(), id.Name, info.Has(ping.NS))
}

func (w watcher) CapsDidNotDiscover(_ context.Context, _ *caps.Caps, of xmpp.JID, err error) {
	w <- fmt.Sprint(of, err)
}

// Two clients that see each other's presence, and know by it what the other can do. The server runs inside the program;
// on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	juliet, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	c, events := caps.New(caps.Config{}), make(watcher)
	c.AddDelegate(events, nil)
	romeo, err := xmpp.New(srv.Config("romeo"))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = errors.Join(
		disco.New(disco.Config{Name: "Balcony"}).Activate(juliet), c.Activate(juliet),
		disco.New(disco.Config{Name: "Orchard"}).Activate(romeo), caps.New(caps.Config{}).Activate(romeo), ping.New(ping.Config{}).Activate(romeo),
		juliet.Login(ctx), romeo.Login(ctx))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := romeo.Send(ctx, stanza.NewPresence(stanza.Available, juliet.MyJID())); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-events)

	// What other modules decide by: they find it as an xmpp.CapabilityFinder, and need not import this package.
	if finder, ok := xmpp.ModuleOf[xmpp.CapabilityFinder](juliet); ok {
		fmt.Println(finder.Supports(romeo.MyJID(), "urn:xmpp:receipts"))
	}
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// romeo uses Orchard, which answers pings: true
	// false true
	// <nil>
}

// A test of a storage of one's own.
func ExampleStorage() {
	_ = func(t *testing.T) {
		capstest.TestStorage(t, func(*testing.T) func() caps.Storage {
			m := caps.MemoryStorage() // in place of what is tested
			return func() caps.Storage { return m }
		})
	}
}

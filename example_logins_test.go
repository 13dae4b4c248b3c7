package xmpp_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A program that asks for the password at its first start only. From then on it logs in with a token (XEP-0484), where the server has them.
func ExampleFileLogins() {
	srv := xmpptest.StartServer(xmpptest.WithSASL2())
	defer srv.Close()
	srv.AddAccount("juliet", "wherefore")
	dir, err := os.MkdirTemp("", "logins")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	start := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		cfg := srv.Config("juliet")
		cfg.Credentials = xmpp.PasswordFunc(func(context.Context) ([]byte, error) {
			fmt.Println("the password, please")
			return []byte("wherefore"), nil
		})
		cfg.Logins = xmpp.FileLogins(dir)
		cfg.UserAgent = xmpp.UserAgent{Software: "Balcony", Device: "phone"}
		stream, err := xmpp.New(cfg)
		if err != nil {
			return err
		}
		if err := stream.Login(ctx); err != nil {
			return err
		}
		fmt.Println("with a token:", stream.Security().Token)
		return stream.Close(ctx)
	}
	fmt.Println(start())
	fmt.Println(start())
	// Output:
	// the password, please
	// with a token: false
	// <nil>
	// with a token: true
	// <nil>
}

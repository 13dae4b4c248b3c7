package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/rpc"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A robot with a method, and somebody who calls it. The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	robot, err1 := xmpp.New(srv.Config("robot"))
	juliet, err2 := xmpp.New(srv.Config("juliet"))
	if err := errors.Join(err1, err2); err != nil {
		fmt.Println(err)
		return
	}
	offered := rpc.New(rpc.Config{Allow: func(from xmpp.JID) bool { return from.Local() == "juliet" }})
	_, err := offered.Register(rpc.Method{Name: "move", Handler: func(_ context.Context, _ xmpp.JID, params []any) (any, error) {
		var to struct {
			X, Y int
		}
		if len(params) != 1 || rpc.Into(params[0], &to) != nil {
			return nil, &rpc.Fault{Code: 4, String: "one parameter: where to"}
		}
		return []int{to.X, to.Y}, nil
	}})
	mine := rpc.New(rpc.Config{})
	if err := errors.Join(err, offered.Activate(robot), mine.Activate(juliet), robot.Login(ctx), juliet.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	result, err := mine.Call(ctx, robot.MyJID(), "move", map[string]any{"X": 3, "Y": -4})
	fmt.Println(result, err)
	_, err = mine.Call(ctx, robot.MyJID(), "move", "home")
	fmt.Println(err)
	fmt.Println(errors.Join(robot.Close(ctx), juliet.Close(ctx)))
	// Output:
	// [3 -4] <nil>
	// rpc: fault 4: one parameter: where to
	// <nil>
}

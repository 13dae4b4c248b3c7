package xmpptest_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// The line breaks in the middle of every step of a login, one after another, and the client says where.
func ExampleServer_CutInside() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t)
		stream, err := xmpp.New(srv.Config("juliet"))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close(t.Context())
		for step := xmpptest.StepHeader; step <= xmpptest.StepBind; step++ {
			srv.CutInside(step, 1, xmpptest.CutReset, 20)
			err := stream.Login(t.Context())
			var connect *xmpp.ConnectError
			var auth *xmpp.AuthError
			switch {
			case errors.As(err, &connect):
				fmt.Printf("%v: %s\n", step, connect.Attempts[0].Step)
			case errors.As(err, &auth):
				fmt.Printf("%v: %s\n", step, auth.Step)
			}
		}
		fmt.Println(srv.Cuts(), "cuts, then:", stream.Login(t.Context()))
	})
	// Output:
	// header: stream
	// features: stream
	// starttls: starttls
	// handshake: TLS
	// secure header: stream
	// secure features: stream
	// challenge: SASL
	// success: SASL
	// session header: SASL
	// session features: SASL
	// bind: bind
	// 11 cuts, then: <nil>
}

// The first three logins fail in three manners.
func ExampleServer_CutAt() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t)
		srv.CutAt(xmpptest.StepDial, 1, xmpptest.CutReset)
		srv.CutAt(xmpptest.StepSuccess, 2, xmpptest.CutReset)
		stream, err := xmpp.New(srv.Config("juliet"))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close(t.Context())
		for range 4 {
			err := stream.Login(t.Context())
			fmt.Println(errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), err == nil)
		}
	})
	// Output:
	// true false false
	// false true false
	// false true false
	// false false true
}

// A bot must come through a hundred connections that break at random bytes. Here it is a stream that logs in again and again.
func ExampleRandomResets() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t)
		config := srv.Config("juliet")
		dialer := &xmpptest.FaultDialer{
			Dial:   config.Dial, // without it, a real server is dialled
			Faults: xmpptest.RandomResets(42, 1, 4000),
			Budget: 100,
		}
		config.Dial = dialer.DialContext
		stream, err := xmpp.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close(t.Context())
		failed := 0
		for stream.Login(t.Context()) != nil {
			failed++
		}
		fmt.Println(failed, "logins failed,", dialer.Cuts(), "resets,", dialer.Dialled(), "connections")
	})
	// Output: 100 logins failed, 100 resets, 101 connections
}

// The line is cut when the test says so, and cannot be made again for a while.
func ExampleFaultDialer() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t)
		config := srv.Config("juliet")
		dialer := &xmpptest.FaultDialer{Dial: config.Dial}
		config.Dial = dialer.DialContext
		stream, err := xmpp.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close(t.Context())
		fmt.Println("login:", stream.Login(t.Context()))
		dialer.Refuse(true)
		fmt.Println(dialer.Reset(), "connection reset")
		fmt.Println("reset:", errors.Is(stream.Wait(t.Context()), syscall.ECONNRESET))
		fmt.Println("refused:", errors.Is(stream.Login(t.Context()), syscall.ECONNREFUSED))
		dialer.Refuse(false)
		fmt.Println("login:", stream.Login(t.Context()))
	})
	// Output:
	// login: <nil>
	// 1 connection reset
	// reset: true
	// refused: true
	// login: <nil>
}

package xmpptest

import (
	"fmt"
	"testing"
)

// StartServer returns a running server for a program that is no test: an Example, a demonstration, a load generator.
// The program ends it with [Server.Close]. What would fail a test panics.
func StartServer(opts ...Option) *Server { return NewServer(program{}, opts...) }

// program stands for the test where there is none.
type program struct{ testing.TB }

func (program) Helper()                           {}
func (program) Cleanup(func())                    {}
func (program) Log(...any)                        {}
func (program) Logf(string, ...any)               {}
func (program) Failed() bool                      { return false }
func (program) Fatal(args ...any)                 { panic("xmpptest: " + fmt.Sprint(args...)) }
func (program) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (p program) Error(args ...any)               { p.Fatal(args...) }
func (p program) Errorf(f string, args ...any)    { p.Fatalf(f, args...) }

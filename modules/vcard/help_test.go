package vcard_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/vcard"
)

// checkGoroutines fails the test if it ends with more goroutines than it began with. In a bubble synctest does that.
func checkGoroutines(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 200 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
	})
}

var errBroken = errors.New("broken")

// broken is a storage that always fails.
type broken struct{}

func (broken) Load(context.Context, xmpp.JID, xmpp.JID) (*vcard.Record, error) { return nil, errBroken }
func (broken) PhotoHash(context.Context, xmpp.JID, xmpp.JID) (string, bool, error) {
	return "", false, errBroken
}
func (broken) Save(context.Context, xmpp.JID, xmpp.JID, *vcard.Record) error { return errBroken }
func (broken) Remove(context.Context, xmpp.JID, xmpp.JID) error              { return errBroken }
func (broken) Clear(context.Context, xmpp.JID) error                         { return errBroken }

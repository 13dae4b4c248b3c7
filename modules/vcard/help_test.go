package vcard_test

import (
	"context"
	"errors"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/vcard"
)

var checkGoroutines = testkit.Goroutines

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

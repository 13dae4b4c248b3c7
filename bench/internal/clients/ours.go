package clients

import (
	"context"
	"errors"
)

var ours = Library{Name: "ours", Module: "this library", Login: loginOurs}

func loginOurs(context.Context, Account, *Inbox) (Client, error) {
	return nil, errors.New("not wired yet")
}

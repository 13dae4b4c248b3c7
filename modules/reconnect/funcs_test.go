package reconnect_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
)

// TestFuncs: each method of an adapter calls its function with what it was given, and nothing where there is none.
func TestFuncs(t *testing.T) {
	ctx, r := t.Context(), reconnect.New(reconnect.Config{})
	none, idle := reconnect.OutageFuncs{}, reconnect.AttemptFuncs{}
	none.ReconnectDidDetectAccidentalDisconnect(ctx, r, nil)
	none.ReconnectDidReconnect(ctx, r, xmpp.SessionNew)
	none.ReconnectDidGiveUp(ctx, r, nil)
	idle.ReconnectWillAttempt(ctx, r, 1, time.Second)
	idle.ReconnectDidFail(ctx, r, 1, nil)

	var got []string
	check := func(name string, c context.Context, from *reconnect.Reconnect, ok bool) {
		got = append(got, name)
		if c != ctx || from != r || !ok {
			t.Errorf("%s was given something else", name)
		}
	}
	err := context.Canceled
	d := reconnect.Delegate{
		Outage: reconnect.OutageFuncs{
			DidDetectAccidentalDisconnect: func(c context.Context, r *reconnect.Reconnect, e error) { check("lost", c, r, e == err) },
			DidReconnect: func(c context.Context, r *reconnect.Reconnect, k xmpp.SessionKind) {
				check("back", c, r, k == xmpp.SessionResumed)
			},
			DidGiveUp: func(c context.Context, r *reconnect.Reconnect, e error) { check("gaveup", c, r, e == err) },
		},
		Attempt: reconnect.AttemptFuncs{
			WillAttempt: func(c context.Context, r *reconnect.Reconnect, n int, d time.Duration) {
				check("will", c, r, n == 3 && d == time.Hour)
			},
			DidFail: func(c context.Context, r *reconnect.Reconnect, n int, e error) {
				check("failed", c, r, n == 3 && e == err)
			},
		},
		Vote: reconnect.VoteFunc(func(c context.Context, r *reconnect.Reconnect, n int, e error) bool {
			check("vote", c, r, n == 3 && e == err)
			return true
		}),
	}
	d.Outage.ReconnectDidDetectAccidentalDisconnect(ctx, r, err)
	d.Outage.ReconnectDidReconnect(ctx, r, xmpp.SessionResumed)
	d.Outage.ReconnectDidGiveUp(ctx, r, err)
	d.Attempt.ReconnectWillAttempt(ctx, r, 3, time.Hour)
	d.Attempt.ReconnectDidFail(ctx, r, 3, err)
	if !d.Vote.ReconnectShouldAttempt(ctx, r, 3, err) {
		t.Error("the vote is lost")
	}
	if want := "lost back gaveup will failed vote"; strings.Join(got, " ") != want {
		t.Errorf("called %v, want %s", got, want)
	}
}

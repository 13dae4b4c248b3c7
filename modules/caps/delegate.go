package caps

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
)

// Delegate hears what others can do. Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate interface {
	// CapsDidDiscover is called when it is known what an entity can do: after a presence that announces something new, at once if others have
	// announced the same, else when somebody has answered; and after [Caps.Fetch].
	CapsDidDiscover(ctx context.Context, c *Caps, of xmpp.JID, info *disco.Info)
	// CapsDidNotDiscover is called when an entity was asked, and it will not be known what it can do until it announces something else or
	// [Caps.Fetch] is called. err is [ErrIllFormed], or that of [disco.Disco.Info].
	CapsDidNotDiscover(ctx context.Context, c *Caps, of xmpp.JID, err error)
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (c *Caps) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return c.delegates.Add("caps", queue, d)
}

func (c *Caps) notify(s *xmpp.Stream, of xmpp.JID, info *disco.Info, err error) {
	c.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if err != nil {
			d.CapsDidNotDiscover(ctx, c, of, err)
		} else {
			d.CapsDidDiscover(ctx, c, of, info)
		}
	})
}

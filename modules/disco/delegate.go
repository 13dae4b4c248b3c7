package disco

import (
	"context"

	"github.com/go-xmppframework/xmpp"
)

// Delegate listens to a [Disco]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate struct {
	Server   ServerDelegate   // what the own server and account can do
	Features FeaturesDelegate // what the client can do
}

// ServerDelegate hears what the own server and the own account can do.
type ServerDelegate interface {
	// DiscoDidDiscoverServer is called once a session, when it is known what the server can do.
	DiscoDidDiscoverServer(ctx context.Context, d *Disco, info *Info)
	// DiscoDidDiscoverAccount is called once a session, when it is known what the server can do for the account, such as PEP.
	DiscoDidDiscoverAccount(ctx context.Context, d *Disco, info *Info)
	// DiscoDidNotDiscover is called when the server or the account, of, did not answer, or with an error. err is that of [Disco.Info].
	// The next call of [Disco.ServerInfo] or [Disco.AccountInfo] asks again.
	DiscoDidNotDiscover(ctx context.Context, d *Disco, of xmpp.JID, err error)
}

// FeaturesDelegate hears of changes of what the client itself announces.
type FeaturesDelegate interface {
	// DiscoFeaturesDidChange is called after [Disco.AddFeature], the end of such a feature, and [Disco.FeaturesDidChange].
	// It is not called for modules that come and go: see [xmpp.ModuleDelegate].
	DiscoFeaturesDidChange(ctx context.Context, d *Disco)
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (d *Disco) AddDelegate(del Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return d.delegates.Add("disco", queue, del)
}

func (d *Disco) notifyServer(s *xmpp.Stream, call func(context.Context, ServerDelegate)) {
	d.delegates.Notify(s, func(ctx context.Context, del Delegate) {
		if del.Server != nil {
			call(ctx, del.Server)
		}
	})
}

package compat

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/sasl"
)

// limit is how long one attempt may take.
const limit = 20 * time.Second

// open is a stream that is connected and not logged in: where a mechanism is not offered it serves the next one as well.
type open struct {
	*xmpp.Stream
	jid      xmpp.JID
	password string
	creds    xmpp.Credentials // of a certificate
}

type openKey struct {
	domain      string
	tls12, cert bool
}

// visit measures one way to a server.
type visit struct {
	site    *site
	way     way
	streams map[openKey]*open
}

func (v *visit) end() {
	for _, o := range v.streams {
		shut(o.Stream)
	}
}

func shut(s *xmpp.Stream) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.Close(ctx)
}

// config is that of a login with everything switched on that has to be.
func (v *visit) config(jid xmpp.JID, tls12, cert bool) (xmpp.Config, *counter) {
	cfg := v.site.config(v.way, jid, cert)
	c := &counter{dial: cfg.Dial}
	cfg.Dial, cfg.AllowPlain, cfg.NoInitialPresence = c.Dial, true, true
	if tls12 {
		cfg.TLS = func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	}
	return cfg, c
}

func (v *visit) connect(ctx context.Context, key openKey) (*open, error) {
	if o := v.streams[key]; o != nil && o.IsConnected() {
		return o, nil
	}
	o := new(open)
	o.jid, o.password = v.site.account(key.domain)
	cfg, _ := v.config(o.jid, key.tls12, key.cert)
	cfg.NoSASL2 = true
	if key.cert {
		o.creds = xmpp.Certificate(v.site.cert(o.jid))
		cfg.Credentials = o.creds
	}
	var err error
	if o.Stream, err = xmpp.New(cfg); err != nil {
		return nil, err
	}
	if err := o.Connect(ctx); err != nil {
		shut(o.Stream)
		return nil, err
	}
	v.streams[key] = o
	return o, nil
}

// mechanism is the cell of a row: the best of its domains.
func (v *visit) mechanism(r row) string {
	best := ""
	for _, domain := range r.domains {
		if got := v.at(r, domain); got == yes || best == "" || best == notOffered {
			best = got
		}
	}
	return best
}

func (v *visit) at(r row, domain string) string {
	got, used := v.try(r, domain, r.mech())
	switch {
	case r.binding == "" || got == notOffered || got == yes && used == r.binding:
		return got
	}
	// The type is not the one that is used here by itself, or none is.
	if got, _ = v.try(r, domain, forced(r.mech(), r.binding)); got == yes || used == "" || got == notThere {
		return got
	}
	return notOffered // there is a list of types, and it is not in there
}

// try logs in with one mechanism. used is the type of channel binding.
func (v *visit) try(r row, domain string, m sasl.Mechanism) (cell, used string) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	key := openKey{domain, r.tls12, r.kind == certificate}
	o, err := v.connect(ctx, key)
	if err != nil {
		return reason(err), ""
	}
	creds := o.creds
	if creds == nil {
		creds = r.credentials(v.site, o.jid, o.password, m)
	}
	if err = o.Authenticate(ctx, creds); err == nil {
		sec := o.Security()
		defer shut(o.Stream)
		delete(v.streams, key)
		version := uint16(tls.VersionTLS13)
		if r.tls12 {
			version = tls.VersionTLS12
		}
		if sec.Mechanism != m.Name || sec.Transport != v.way.over() || sec.TLSVersion != version {
			return fmt.Sprintf("wrong: %+v", sec), ""
		}
		return yes, sec.ChannelBinding
	}
	if o.State() != xmpp.StateConnected {
		shut(o.Stream)
		delete(v.streams, key)
	}
	return reason(err), ""
}

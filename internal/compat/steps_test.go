package compat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsSASL2   = "urn:xmpp:sasl:2"
	nsBind2   = "urn:xmpp:bind:0"
	nsFAST    = "urn:xmpp:fast:0"
	nsUpgrade = "urn:xmpp:sasl:upgrade:0"
)

// The rows of what belongs to a login besides its mechanism.
const (
	rowSASL2    = "SASL2 (XEP-0388)"
	rowBind2    = "Bind 2 (XEP-0386)"
	rowResume   = "a session goes on (XEP-0198)"
	rowInline   = "a session goes on, along with SASL2"
	rowUpgrade  = "upgrade of the stored password (XEP-0480)"
	rowZlib     = "zlib (XEP-0138)"
	rowHostMeta = "found by host-meta (XEP-0156)"
	rowLimits   = "limits told (XEP-0478)"
	rowOther    = "see-other-host, followed"
	rowDigest   = "before SASL: a digest (XEP-0078)"
	rowPassword = "before SASL: the password (XEP-0078)"
)

// tokens are the kinds of tokens, strongest first.
var tokens = []string{"HT-SHA-256-EXPR", "HT-SHA-256-UNIQ", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"}

func rowToken(mechanism string) string { return "FAST (XEP-0484), " + mechanism }

// stepRows are in the order of the page.
func stepRows() []string {
	rows := []string{rowSASL2, rowBind2}
	for _, m := range tokens {
		rows = append(rows, rowToken(m))
	}
	return append(rows, rowResume, rowInline, rowUpgrade, rowZlib, rowHostMeta, rowLimits, rowOther, rowDigest, rowPassword)
}

// memory is a LoginStorage for one account.
type memory struct {
	mu sync.Mutex
	r  xmpp.LoginRecord
}

func (m *memory) LoadLogin(context.Context, xmpp.JID) (xmpp.LoginRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.r, nil
}

func (m *memory) SaveLogin(_ context.Context, _ xmpp.JID, r xmpp.LoginRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.r = r
	return nil
}

// client is a stream for Login, and what counts on it.
type client struct {
	*xmpp.Stream
	*counter
	features *etree.Element // those before the login
	ended    ending
}

// stream makes one for a new account of a domain.
func (v *visit) stream(domain string, tls12 bool, change func(*xmpp.Config)) (*client, error) {
	jid, pw := v.site.account(domain)
	cfg, c := v.config(jid, tls12, false)
	cfg.Credentials = xmpp.Password(pw)
	if change != nil {
		change(&cfg)
	}
	s, err := xmpp.New(cfg)
	if err != nil {
		return nil, err
	}
	cl := &client{Stream: s, counter: c, ended: make(ending, 10)}
	s.AddDelegate(xmpp.Delegate{Connection: cl.ended})
	return cl, nil
}

func (c *client) login(ctx context.Context) error {
	if err := c.Connect(ctx); err != nil {
		return err
	}
	c.features = c.Features()
	return c.Login(ctx)
}

// steps measures stepRows.
func (v *visit) steps(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out := map[string]string{}
	v.oneStep(ctx, out)
	v.tokens(ctx, out)
	v.resume(ctx, out)
	out[rowUpgrade] = v.upgrade(ctx)
	out[rowZlib] = v.zlib(ctx)
	out[rowHostMeta] = v.hostMeta(ctx)
	out[rowOther] = v.seeOther(ctx)
	out[rowDigest], out[rowPassword] = v.legacy(ctx, digestDomain), v.legacy(ctx, passwordDomain)
	return out
}

// oneStep is a login with all that goes into one step.
func (v *visit) oneStep(ctx context.Context, out map[string]string) {
	c, err := v.stream(integration.Full, false, func(cfg *xmpp.Config) { cfg.Bind2, cfg.NoFAST = true, true })
	if err == nil {
		err = c.login(ctx)
	}
	if err != nil {
		out[rowSASL2], out[rowBind2], out[rowLimits] = reason(err), reason(err), reason(err)
		return
	}
	defer shut(c.Stream)
	sec, offer := c.Security(), stanza.Child(c.features, "authentication", nsSASL2)
	out[rowSASL2] = cell(sec.SASL2, offer != nil)
	out[rowBind2] = cell(sec.Bind2, inline(c.features, "bind", nsBind2) != nil)
	out[rowLimits] = cell(stanza.Child(c.features, "limits", "urn:xmpp:stream-limits:0") != nil, false)
}

// cell is yes, or why not.
func cell(done, offered bool) string {
	switch {
	case done:
		return yes
	case offered:
		return "offered, not used"
	}
	return notOffered
}

func inline(features *etree.Element, name, ns string) *etree.Element {
	return stanza.Child(stanza.Child(stanza.Child(features, "authentication", nsSASL2), "inline", nsSASL2), name, ns)
}

// tokens finds out which kinds of tokens a second login is made with: on TLS 1.3, on TLS 1.2, and where any will do.
func (v *visit) tokens(ctx context.Context, out map[string]string) {
	var offered, used []string
	for _, how := range []struct{ tls12, unbound bool }{{}, {tls12: true}, {unbound: true}, {true, true}} {
		c, err := v.stream(integration.Full, how.tls12, func(cfg *xmpp.Config) {
			cfg.Logins, cfg.InsecureUnboundTokens = new(memory), how.unbound
		})
		for range 2 {
			if err == nil {
				err = c.login(ctx)
			}
			if err != nil {
				break
			}
			for m := range stanza.Children(inline(c.features, "fast", nsFAST), "mechanism", nsFAST) {
				offered = append(offered, stanza.Text(m))
			}
			if sec := c.Security(); sec.Token {
				used = append(used, sec.Mechanism)
			}
			c.down()
		}
		if err != nil {
			used = append(used, reason(err))
		}
		if c != nil {
			shut(c.Stream)
		}
	}
	for i, m := range tokens {
		switch {
		case slices.Contains(used, m):
			out[rowToken(m)] = yes
		case !slices.Contains(offered, m):
			out[rowToken(m)] = notOffered
		case slices.ContainsFunc(used, func(u string) bool { return slices.Contains(tokens[:i], u) }):
			out[rowToken(m)] = "offered; a stronger one is used"
		default:
			out[rowToken(m)] = strings.TrimSuffix("offered, not used: "+strings.Join(used, ", "), ": ")
		}
	}
}

// ending tells that the connection has ended.
type ending chan struct{}

func (ending) WillConnect(context.Context, *xmpp.Stream)                  {}
func (ending) DidConnect(context.Context, *xmpp.Stream)                   {}
func (e ending) DidDisconnect(_ context.Context, _ *xmpp.Stream, _ error) { e <- struct{}{} }

// down ends the connection.
func (c *client) down() {
	c.Disconnect()
	<-c.ended
}

func (c *client) waitEnded(ctx context.Context) error {
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resume loses a connection, and goes on with the session.
func (v *visit) resume(ctx context.Context, out map[string]string) {
	c, err := v.stream(integration.Full, false, func(cfg *xmpp.Config) { cfg.Bind2 = true })
	if v.way == bosh && err == nil { // requests are made again, as long as the server might keep the session of BOSH
		defer shut(c.Stream)
		m := sm.New(sm.Config{})
		if err = m.Activate(c.Stream); err == nil {
			err = c.login(ctx)
		}
		out[rowResume] = cell(m.Enabled(), c.HasFeature("sm", sm.NS))
		if out[rowInline] = out[rowResume]; err != nil {
			out[rowResume], out[rowInline] = reason(err), reason(err)
		}
		return
	}
	if err == nil {
		defer shut(c.Stream)
		if err = sm.New(sm.Config{}).Activate(c.Stream); err == nil {
			err = c.login(ctx)
		}
	}
	if err == nil {
		c.cut(true)
		err = c.waitEnded(ctx)
		c.cut(false)
	}
	if err == nil {
		short, cancel := context.WithTimeout(ctx, limit/5)
		err = c.login(short)
		cancel()
	}
	if err != nil {
		out[rowResume], out[rowInline] = reason(err), reason(err)
		return
	}
	sec := c.Security()
	out[rowResume] = cell(sec.Resumed, false)
	offered := inline(c.features, "sm", sm.NS) != nil
	out[rowInline] = cell(sec.Resumed && sec.SASL2 && offered, offered)
	if sec.Resumed && out[rowInline] == notOffered {
		out[rowInline] = "not offered; in a step of its own"
	}
}

// upgrade does what the server asks for, and looks whether it asks for less the next time.
func (v *visit) upgrade(ctx context.Context) string {
	c, err := v.stream(integration.Hashed, false, func(cfg *xmpp.Config) { cfg.NoFAST = true })
	var asks [2]int
	for i := range asks {
		if err == nil {
			err = c.login(ctx)
		}
		if err != nil {
			return reason(err)
		}
		for range stanza.Children(stanza.Child(c.features, "authentication", nsSASL2), "upgrade", nsUpgrade) {
			asks[i]++
		}
		c.down()
	}
	shut(c.Stream)
	return cell(asks[1] < asks[0], asks[0] > 0)
}

// zlib sends what compresses well, and looks how much of it leaves.
func (v *visit) zlib(ctx context.Context) string {
	c, err := v.stream(integration.Full, false, func(cfg *xmpp.Config) { cfg.InsecureCompression, cfg.NoSASL2 = true, true })
	if err == nil {
		err = c.login(ctx)
	}
	if err != nil {
		return reason(err)
	}
	defer shut(c.Stream)
	before := c.bytes()
	const size = 20_000
	q := stanza.New("query", "jabber:iq:private").C("x", "urn:example:compat").T(strings.Repeat("x", size))
	if _, err := c.SendIQ(ctx, stanza.NewIQ(stanza.Set, xmpp.JID{}, q)); err != nil {
		return reason(err)
	}
	return cell(c.bytes()-before < size/2, c.HasFeature("compression", "http://jabber.org/features/compress"))
}

// hostMeta lets the address be looked up.
func (v *visit) hostMeta(ctx context.Context) string {
	var t xmpp.Transport
	switch v.way {
	case webSocket:
		t = xmpp.WebSocket("")
	case bosh:
		t = xmpp.BOSH("")
	default:
		return "by DNS"
	}
	c, err := v.stream(integration.Full, false, func(cfg *xmpp.Config) { cfg.Transports = []xmpp.Transport{t} })
	if err == nil {
		err = c.login(ctx)
	}
	if err != nil {
		return reason(err)
	}
	defer shut(c.Stream)
	if sec := c.Security(); sec.Transport != v.way.over() {
		return fmt.Sprintf("wrong: %+v", sec)
	}
	return yes
}

// elsewhere is where a server sends its clients.
const elsewhere = "elsewhere.test"

// seeOther looks whether a login goes where the server sends it.
func (v *visit) seeOther(ctx context.Context) string {
	c, err := v.stream(v.site.redirect(v.way), false, nil)
	if err == nil {
		err = c.Login(ctx)
	}
	if err != nil {
		return reason(err)
	}
	defer shut(c.Stream)
	if c.dialled(elsewhere) {
		return yes
	}
	return "never sent"
}

// The domains of servers that know nothing newer than XEP-0078, with a digest and without. Real servers have none.
const (
	digestDomain   = "digest.test"
	passwordDomain = "password.test"
)

// legacy is the login of before SASL.
func (v *visit) legacy(ctx context.Context, domain string) string {
	if !v.site.old {
		domain = integration.Full
	}
	c, err := v.stream(domain, false, func(cfg *xmpp.Config) { cfg.InsecureLegacyAuth = true })
	if err == nil {
		err = c.login(ctx)
	}
	if err != nil {
		return reason(err)
	}
	defer shut(c.Stream)
	const ns = "jabber:iq:auth"
	if c.Security().Mechanism == ns {
		return yes
	}
	if stanza.Child(c.features, "auth", "http://jabber.org/features/iq-auth") != nil {
		return "offered beside SASL, which is used"
	}
	return notOffered
}

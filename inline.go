package xmpp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsSASL2   = "urn:xmpp:sasl:2"
	nsBind2   = "urn:xmpp:bind:0"
	nsSM      = "urn:xmpp:sm:3"
	nsFAST    = "urn:xmpp:fast:0"
	nsUpgrade = "urn:xmpp:sasl:upgrade:0"
	nsScram   = "urn:xmpp:scram-upgrade:0"
)

// Inliner is a [Module], or a [Binder], that takes part in a login which does in one step what takes several otherwise:
// SASL2 (XEP-0388) with Bind 2 (XEP-0386). Where the server has neither, nothing of it is called, and the module does its work when the session begins.
type Inliner interface {
	// Inline is called before each attempt at such a login, on the goroutine of the Authenticate call, which waits for it, with its ctx.
	// It adds to what is sent; an attempt that fails has no effect on the server. An error ends the login.
	Inline(ctx context.Context, in *Inline) error
	// Inlined is called when the login has succeeded, before [Binder.Bind] and ReceiveSession, inline: it must be quick and must not wait.
	Inlined(ctx context.Context, r *InlineResult)
}

// Inline is what is to be sent along with a login. It is valid until Inline returns.
type Inline struct {
	l       *login
	offer   *etree.Element // <inline/>
	bind    *etree.Element // <bind/> in it; nil if it is not to be used
	login   []stanza.Elementer
	binding []stanza.Elementer
}

// Stream is the stream that logs in.
func (in *Inline) Stream() *Stream { return in.l.s }

// Offers reports whether the server lists an element among what may be sent along, such as Offers("sm", "urn:xmpp:sm:3").
func (in *Inline) Offers(name, ns string) bool { return stanza.Child(in.offer, name, ns) != nil }

// BindOffers reports whether a resource is bound in the same step, and the server lists the feature among what may be enabled with it (XEP-0386 section 3.1).
func (in *Inline) BindOffers(feature string) bool {
	for f := range stanza.Children(stanza.Child(in.bind, "inline", nsBind2), "feature", nsBind2) {
		if stanza.AttrOr(f, "var", "") == feature {
			return true
		}
	}
	return false
}

// Add adds an element to <authenticate/>.
func (in *Inline) Add(e stanza.Elementer) { in.login = append(in.login, e) }

// BindLater keeps the resource from being bound in the same step: it is bound afterwards, by the Binder or in the ordinary way.
func (in *Inline) BindLater() { in.bind = nil }

// Binding is for [Binding.Restore]; nothing else of it can be used yet.
func (in *Inline) Binding() *Binding { return &Binding{in.l} }

// AddToBind adds an element to <bind/>; only after [Inline.BindOffers] has said so does it do anything.
func (in *Inline) AddToBind(e stanza.Elementer) { in.binding = append(in.binding, e) }

// InlineResult is what came with the success of a login.
type InlineResult struct {
	success *etree.Element
	bound   *etree.Element
	jid     JID
}

// Success is the server's <success/>. Read-only.
func (r *InlineResult) Success() *etree.Element { return r.success }

// Bound is <bound/> in it, nil if no resource was bound with it: it is still to be bound, or a session goes on. Read-only.
func (r *InlineResult) Bound() *etree.Element { return r.bound }

// inliners are those who take part in a login: the Binder, and modules.
func (l *login) inliners() (names []string, all []Inliner) {
	if i, ok := l.binder.(Inliner); ok {
		names, all = append(names, "Binder"), append(all, i)
	}
	for _, m := range l.s.modules.all() {
		if i, ok := m.(Inliner); ok {
			names, all = append(names, m.Name()), append(all, i)
		}
	}
	return names, all
}

// appendAuthenticate makes <authenticate/>, XEP-0388 section 2.3, with all that goes along.
func (l *login) appendAuthenticate(ctx context.Context, initial []byte) ([]byte, error) {
	if err := l.findBinder(ctx); err != nil {
		return nil, err
	}
	in, err := l.inline(ctx)
	if err != nil {
		return nil, err
	}
	l.attempt.binds = in.bind != nil
	l.attempt.resumes = slices.ContainsFunc(in.login, func(e stanza.Elementer) bool { return stanza.Is(e.Element(), "resume", nsSM) })
	b := []byte("<authenticate xmlns='" + nsSASL2 + "' mechanism='" + l.mechanism + "'>")
	if initial != nil {
		b = append(appendBase64(append(b, "<initial-response>"...), initial), "</initial-response>"...)
	}
	rest := l.userAgent()
	for _, e := range in.login {
		if rest, err = xmlstream.AppendStandalone(rest, e.Element()); err != nil {
			return nil, err
		}
	}
	if in.bind != nil {
		rest = append(rest, "<bind xmlns='"+nsBind2+"'>"...)
		if tag := l.s.cfg.UserAgent.Software; tag != "" {
			if rest, err = xmlstream.AppendStandalone(rest, stanza.New("tag", nsBind2).T(tag).Element()); err != nil {
				return nil, err
			}
		}
		for _, e := range in.binding {
			if rest, err = xmlstream.AppendStandalone(rest, e.Element()); err != nil {
				return nil, err
			}
		}
		rest = append(rest, "</bind>"...)
	}
	return append(append(b, rest...), "</authenticate>"...), nil
}

// CatchUpper is implemented by a [Module] that fetches from the archive (XEP-0313) what was said while nobody was online.
type CatchUpper interface {
	// CatchesUp reports whether it does so with the next session.
	CatchesUp() bool
}

// catchesUp reports whether nothing is lost if the server does not send what came while nobody was online.
func (s *Stream) catchesUp() bool {
	for _, m := range s.modules.all() {
		if c, ok := m.(CatchUpper); ok && c.CatchesUp() {
			return true
		}
	}
	return s.cfg.Bind2
}

// inline collects what goes along with the login.
func (l *login) inline(ctx context.Context) (*Inline, error) {
	auth := stanza.Child(l.features(), "authentication", nsSASL2)
	in := &Inline{l: l, offer: stanza.Child(auth, "inline", nsSASL2)}
	_, inlines := l.binder.(Inliner)
	// The server makes the resource, so one that is asked for can only be had in the ordinary way;
	// and it throws away what it has kept for a client that was offline (XEP-0386 section 6), so somebody must fetch that from the archive.
	if l.s.cfg.JID.Resource() == "" && (l.binder == nil || inlines) && l.s.catchesUp() {
		in.bind = stanza.Child(in.offer, "bind", nsBind2)
	}
	names, all := l.inliners()
	for i, inliner := range all {
		if _, err := ask(ctx, l.s, names[i], func(ctx context.Context) (struct{}, error) {
			return struct{}{}, inliner.Inline(ctx, in)
		}); err != nil {
			return nil, err
		}
	}
	if l.offered != nil {
		if version := stanza.Child(l.offered, "config-version", nsConfig); version != nil {
			in.Add(stanza.Raw(version.Copy()))
		}
	}
	l.inlineTokens(in)
	l.inlineUpgrades(in, auth)
	return in, nil
}

// succeeded reads what came with success, and the features that follow it, but for a session that goes on (XEP-0198 section 9.2).
func (l *login) succeeded(ctx context.Context) error {
	r, ids := l.inlined, 0
	for range stanza.Children(r.success, "authorization-identifier", nsSASL2) {
		ids++
	}
	id := stanza.ChildText(r.success, "authorization-identifier", nsSASL2)
	jid, err := ParseJID(id)
	if err != nil || ids != 1 {
		return fmt.Errorf("%w: authorized as %q", ErrUnexpectedElement, clip(id))
	}
	if err := l.ownAccount(jid, "authorized as"); err != nil {
		return err
	}
	r.bound = stanza.Child(r.success, "bound", nsBind2)
	resumed := stanza.Child(r.success, "resumed", nsSM) != nil
	if r.bound != nil && (resumed || !l.attempt.binds) || resumed && !l.attempt.resumes {
		return l.c.unexpected(r.success, "what was asked for")
	}
	if r.bound != nil {
		if r.jid = jid; !jid.IsFull() {
			return fmt.Errorf("%w: bound to %s, which has no resource", ErrUnexpectedElement, clip(id))
		}
		l.asked = true // no session request
	}
	l.takeToken(r.success)
	if !resumed {
		el, err := l.c.receive(ctx)
		if err != nil {
			return err
		}
		if !stanza.Is(el, "features", stanza.NSStreams) {
			return l.c.unexpected(el, "features")
		}
		l.c.setFeatures(el)
		l.record.Features = stanza.Compact(el)
	} else if el, err := stanza.ParseElement(l.record.Features); err == nil {
		l.c.setFeatures(el) // no others come
	}
	names, all := l.inliners()
	for i, inliner := range all {
		func() {
			defer l.s.onPanic(names[i])
			inliner.Inlined(l.s.readerContext(), r)
		}()
	}
	return nil
}

// ownAccount refuses an address of somebody else, unless the mechanism leaves the account to the server.
func (l *login) ownAccount(jid JID, what string) error {
	own := l.s.cfg.JID.Bare()
	if jid.Bare() != own && !l.attempt.choice.Mechanism.ServerIdentity {
		return fmt.Errorf("%w: %s %s, not %s", ErrUnexpectedElement, what, clip(jid.String()), clip(own.String()))
	}
	return nil
}

// inlineUpgrades asks for the upgrade of what the server stores of the password (XEP-0480): over an exchange that is bound to the connection only,
// since what is sent is as good as the password there.
func (l *login) inlineUpgrades(in *Inline, auth *etree.Element) {
	a := &l.attempt
	if a.token || a.choice.BindingType == "" || !strings.HasPrefix(l.mechanism, "SCRAM-") || a.params.Credentials.Password == nil {
		return
	}
	offered, best, rank := mechanismsOf(l.features(), true), "", sasl.Rank(strings.TrimSuffix(l.mechanism, "-PLUS"))
	for u := range stanza.Children(auth, "upgrade", nsUpgrade) {
		task := stanza.Text(u)
		if r := sasl.Rank(upgraded(task)); r > rank && !slices.Contains(offered, upgraded(task)) {
			best, rank = task, r
		}
	}
	if best != "" {
		a.upgrades = []string{best}
		in.Add(stanza.New("upgrade", nsUpgrade).T(best))
	}
}

// upgraded is the mechanism that a task is for, "" if it is none.
func upgraded(task string) string {
	name, ok := strings.CutPrefix(task, "UPGR-")
	if !ok || sasl.Rank(name) == 0 || strings.HasSuffix(name, "-PLUS") {
		return ""
	}
	return name
}

// errTask says that the server wants something that nobody has offered to do.
var errTask = fmt.Errorf("%w: the server demands a task that was not asked for", ErrUnexpectedElement)

// continued does the task that the server wants before it says success, XEP-0388 section 2.6.3. The server must have proved itself with it.
func (l *login) continued(ctx context.Context, el *etree.Element) error {
	a := &l.attempt
	if !a.verified {
		data, err := l.successData(el)
		if err != nil {
			return err
		}
		if err := a.client.Success(ctx, data); err != nil {
			return err
		}
		a.verified = true
	}
	task := ""
	for t := range stanza.Children(stanza.Child(el, "tasks", nsSASL2), "task", nsSASL2) {
		for i, asked := range a.upgrades {
			if stanza.Text(t) == asked && task == "" {
				task, a.upgrades = asked, append(a.upgrades[:i:i], a.upgrades[i+1:]...)
			}
		}
	}
	if task == "" {
		return errTask
	}
	l.c.w.raw([]byte("<next xmlns='"+nsSASL2+"' task='"+task+"'/>"), false)
	data, err := l.c.receive(ctx)
	if err != nil {
		return err
	}
	salt := stanza.Child(data, "salt", nsScram)
	if !stanza.Is(data, "task-data", nsSASL2) || salt == nil {
		return l.c.unexpected(data, "the salt of an upgrade")
	}
	raw, err := saslData(salt, true)
	if err != nil {
		return err
	}
	hash, err := sasl.SaltedPassword(ctx, upgraded(task), a.params.Credentials, raw, stanza.AttrInt(salt, "iterations", 0), 0)
	if err != nil {
		return err
	}
	b := append(appendBase64([]byte("<task-data xmlns='"+nsSASL2+"'><hash xmlns='"+nsScram+"'>"), hash), "</hash></task-data>"...)
	l.c.w.raw(b, false)
	clear(b)
	clear(hash)
	return nil
}

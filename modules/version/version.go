// Package version asks others what software they use, and tells them: Software Version, XEP-0092.
//
// What a program says of itself helps those who look for its weak spots. So an active [Version] says nothing of the operating system
// unless it is told to, [Config].Allow can limit who is answered, and NoAnswer leaves it at asking.
package version

import (
	"context"
	"errors"
	"path"
	"runtime/debug"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0092.
const NS = "jabber:iq:version"

// ErrAnswer is returned by [Version.Query] for an answer that does not name the software.
var ErrAnswer = errors.New("version: the answer does not name the software")

// Software is what an entity says that it uses. Nobody has checked that.
type Software struct {
	Name    string
	Version string
	OS      string // the operating system; empty if nothing was said of it
}

// Element is the payload that says so (XEP-0092 section 4).
func (sw Software) Element() *etree.Element {
	q := stanza.New("query", NS).C("name").T(sw.Name).Up().C("version").T(sw.Version).Up()
	if sw.OS != "" {
		q.C("os").T(sw.OS)
	}
	return q.Element()
}

// Config tunes a [Version].
type Config struct {
	// Name of the software, as it is told. If zero, the last part of the path of the program's main package.
	Name string
	// Version of the software, as it is told. If zero, that of the program's main module as it was built, or "unknown".
	Version string
	// OS is the operating system, as it is told. If zero, nothing is said of it (XEP-0092 section 5).
	OS string
	// Allow tells whether the questions of an entity are answered; others are told service-unavailable, as without the module. It is called
	// on a queue of the module. If zero, everybody is answered.
	Allow func(from xmpp.JID) bool
	// NoAnswer leaves others' questions to the rest of the program, and announces no feature. If zero, they are answered.
	NoAnswer bool
}

// Version is the module. Make it with [New].
type Version struct {
	xmpp.ModuleBase
	cfg Config
}

// New makes a module that is not active yet.
func New(cfg Config) *Version {
	name, version := built()
	if cfg.Name == "" {
		cfg.Name = name
	}
	if cfg.Version == "" {
		cfg.Version = version
	}
	return &Version{cfg: cfg}
}

// built is what the program knows of itself.
func built() (name, version string) {
	name, version = "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Path != "" {
			name = path.Base(info.Path)
		}
		if v := info.Main.Version; v != "" && v != "(devel)" {
			version = v
		}
	}
	return name, version
}

// Name is "version".
func (v *Version) Name() string { return "version" }

// Features are what service discovery announces: nothing with Config.NoAnswer.
func (v *Version) Features() []string {
	if v.cfg.NoAnswer {
		return nil
	}
	return []string{NS}
}

// Activate attaches the module to a stream.
func (v *Version) Activate(s *xmpp.Stream) error {
	return v.Attach(s, v, func() error {
		if v.cfg.NoAnswer {
			return nil
		}
		remove, err := s.HandleIQ(stanza.Get, NS, "query", nil, v.answer)
		if err == nil {
			v.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		}
		return err
	})
}

func (v *Version) answer(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	if v.cfg.Allow != nil && !v.cfg.Allow(iq.From()) {
		_ = s.Send(ctx, iq.Error(stanza.ServiceUnavailable))
		return
	}
	_ = s.Send(ctx, iq.Result(v.Software()))
}

// Software is what the module tells others.
func (v *Version) Software() Software {
	return Software{Name: v.cfg.Name, Version: v.cfg.Version, OS: v.cfg.OS}
}

// Query asks an entity for its software: a server or another service by its domain, a client by its full address; the zero JID is the own server.
// The error is that of [xmpp.Stream.SendIQ], which is a [*stanza.Error] when the entity refused to answer, or [ErrAnswer].
func (v *Version) Query(ctx context.Context, jid xmpp.JID) (Software, error) {
	s, err := v.Active()
	if err != nil {
		return Software{}, err
	}
	if jid.IsZero() {
		jid = s.MyJID().DomainJID()
	}
	answer, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, jid, stanza.New("query", NS)))
	if err != nil {
		return Software{}, err
	}
	return parse(answer)
}

// parse reads an answer. Name and version are required (XEP-0092 section 4); an empty version is what some say who do not want to.
func parse(answer *stanza.IQ) (Software, error) {
	q := answer.Child("query", NS)
	text := func(name string) string { return strings.Clone(stanza.ChildText(q, name, NS)) }
	if sw := (Software{Name: text("name"), Version: text("version"), OS: text("os")}); sw.Name != "" {
		return sw, nil
	}
	return Software{}, ErrAnswer
}

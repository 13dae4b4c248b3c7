package pubsub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const nsInfo = "http://jabber.org/protocol/disco#info"

// session is what was found out about services since the session began.
type session struct {
	mu       sync.Mutex
	features map[xmpp.JID][]string
	verified map[nodeKey]Options
}

type nodeKey struct {
	service xmpp.JID
	node    string
}

func (p *PubSub) current() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

func (s *session) featuresOf(service xmpp.JID) ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.features[service]
	return f, ok
}

func (s *session) noteFeatures(service xmpp.JID, features []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.features == nil {
		s.features = make(map[xmpp.JID][]string)
	}
	s.features[service] = features
}

func (s *session) isVerified(service xmpp.JID, node string, config Options) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.verified[nodeKey{service, node}]
	return ok && config.metBy(v)
}

func (s *session) noteVerified(service xmpp.JID, node string, config Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verified == nil {
		s.verified = make(map[nodeKey]Options)
	}
	s.verified[nodeKey{service, node}] = maps.Clone(config)
}

// ServiceFeatures returns the features that a service announces (XEP-0060 section 5.1, XEP-0163 section 6.1), asked once a session.
// The zero address is the own account. Some servers announce what it can in the name of the domain only: then it is those features.
func (p *PubSub) ServiceFeatures(ctx context.Context, service xmpp.JID) ([]string, error) {
	session := p.current()
	if f, ok := session.featuresOf(service); ok {
		return slices.Clone(f), nil
	}
	s, err := p.Active()
	if err != nil {
		return nil, err
	}
	to := service
	if to.IsZero() {
		to = s.MyJID().Bare()
	}
	features, err := discover(ctx, s, to)
	if service.IsZero() && !slices.ContainsFunc(features, func(f string) bool { return strings.HasPrefix(f, NS) }) {
		if se := (*stanza.Error)(nil); err != nil && !errors.As(err, &se) {
			return nil, err
		}
		var more []string
		more, err = discover(ctx, s, s.MyJID().DomainJID())
		features = append(features, more...)
	}
	if err != nil {
		return nil, err
	}
	session.noteFeatures(service, features)
	return slices.Clone(features), nil
}

// Supports reports whether a service announces a feature of XEP-0060 section 10, such as "publish-options". See [PubSub.ServiceFeatures].
func (p *PubSub) Supports(ctx context.Context, service xmpp.JID, feature string) (bool, error) {
	f, err := p.ServiceFeatures(ctx, service)
	return slices.Contains(f, NS+"#"+feature), err
}

func discover(ctx context.Context, s *xmpp.Stream, to xmpp.JID) ([]string, error) {
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, to, stanza.New("query", nsInfo)))
	if err != nil {
		return nil, err
	}
	return featuresIn(iq.Child("query", nsInfo)), nil
}

func featuresIn(query *etree.Element) (out []string) {
	for f := range stanza.Children(query, "feature", nsInfo) {
		if v := stanza.AttrOr(f, "var", ""); v != "" {
			out = append(out, strings.Clone(v))
		}
	}
	return out
}

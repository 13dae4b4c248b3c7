package xmpp

import (
	"context"
	"errors"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// nsConfig is that of XEP-0509, by which a server says that what it offers has not changed.
const nsConfig = "urn:xmpp:iap:0"

// What is sent ahead saves round trips: it goes along with the stream's header, by what the server has offered the last time,
// and before it is known what it offers now. It shows nobody a password: tokens are proved, and of SCRAM there is only the first message.

// sendsAhead reports whether the login may begin with the stream's header, as Login does where that is permitted, by Config or by the server.
func (s *Stream) sendsAhead(offer *etree.Element) bool {
	return s.cfg.Pipelining || stanza.Child(offer, "config-version", nsConfig) != nil
}

// plan makes the first element of the login that Login is about to do, nil if there is nothing to go by.
func (c *conn) plan(ctx context.Context) []byte {
	s := c.s
	s.mu.Lock()
	creds := s.planned
	s.mu.Unlock()
	if creds == nil || !c.secure() || c.transport.kind == overBOSH {
		return nil
	}
	l := &login{s: s, c: c, creds: creds, byLogin: true, step: "SASL"}
	if l.recall(ctx) != nil || l.record.Offer == "" {
		return nil
	}
	var err error
	if l.offered, err = stanza.ParseElement(l.record.Offer); err != nil || !s.sendsAhead(l.offered) {
		return nil
	}
	s.useCredentials(creds)
	l.sasl2 = c.usesSASL2(l.offered)
	params, _ := l.params()
	choice, ok := l.token(ctx, params)
	if !ok {
		choices, err := l.choose(*params.Offer)
		if err != nil || !strings.HasPrefix(choices[0].Mechanism.Name, "SCRAM-") {
			return nil
		}
		choice = choices[0]
	}
	b, err := l.begin(ctx, choice, params)
	if err != nil {
		return nil
	}
	c.ahead = l
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wasAhead = true
	return b
}

// goOn finishes what was begun ahead. done is false if the login is to be begun anew.
func (l *login) goOn(ctx context.Context) (done bool, err error) {
	same := stanza.Compact(l.c.features.Load()) == l.record.Offer
	l.offered = nil
	if l.attempt.token || same {
		if err = l.exchange(ctx); err == nil || !l.refused || l.attempt.answered {
			return true, err
		}
		if !l.attempt.mismatch {
			l.notToken(ctx, err)
		}
	} else if err = l.dropAhead(ctx); err != nil {
		return true, err
	}
	l.record.Offer, l.refused, l.attempt = "", false, attempt{}
	return false, nil
}

// dropAhead ends an exchange that was begun by what the server does not offer any more.
func (l *login) dropAhead(ctx context.Context) error {
	for range maxSASLRounds {
		el, err := l.c.receive(ctx)
		if err != nil {
			return err
		}
		switch {
		case stanza.Is(el, "failure", l.nsSASL()):
			return nil
		case !stanza.Is(el, "challenge", l.nsSASL()):
			return l.c.unexpected(el, "a challenge")
		}
		l.abort()
	}
	return l.c.unexpected(etree.NewElement("challenge"), "failure")
}

// forgetOffer keeps the next attempt from sending anything ahead. It reports whether the one that has failed did, and not by what it has proved:
// then it may be tried again.
func (s *Stream) forgetOffer(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ae := (*AuthError)(nil)
	again := s.wasAhead && !(errors.As(err, &ae) && ae.Condition != "")
	if s.wasAhead {
		s.noOffer = true
	}
	s.wasAhead = false
	return again
}

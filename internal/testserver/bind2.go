package testserver

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

func (s *Session) bind2Feature() string {
	if !s.srv.has(nsBind2) {
		return ""
	}
	f := ""
	for _, ns := range s.srv.bindFeatures() {
		f += "<feature var='" + escape(ns) + "'/>"
	}
	if s.inlineSM() {
		f += "<feature var='" + nsSM + "'/>"
	}
	if f != "" {
		f = "<inline>" + f + "</inline>"
	}
	return "<bind xmlns='" + nsBind2 + "'>" + f + "</bind>"
}

// resource2 makes a resource of the client's tag and of what does not change from one login to the next (XEP-0386 §3.2).
func resource2(tag, agent string) string {
	id := newResource()[:12]
	if agent != "" {
		sum := sha256.Sum256([]byte(agent))
		id = base64.RawURLEncoding.EncodeToString(sum[:9])
	}
	if tag == "" {
		return id
	}
	return tag + "~" + id
}

// bind2 binds a resource inside SASL2, enables what the client has asked for, and sends the success and the features,
// so that nothing comes between them, and what comes behind <enabled/> is counted.
func (s *Session) bind2(req *etree.Element, agent string, success func(bound string) []byte) error {
	tag := ""
	if t := child(req, "tag", nsBind2); t != nil {
		tag = t.Text()
	}
	full, err := s.account.bare.WithResource(resource2(tag, agent))
	if err != nil {
		if full, err = s.account.bare.WithResource(resource2("", agent)); err != nil {
			panic(err) // letters, digits, '-' and '_' are a resource
		}
	}
	var m *managed
	var enabled string
	steps := []Step{StepSuccess, StepBind}
	if e := s.wantsSM(req); e != nil {
		var answer *etree.Element
		m, answer = s.manageNew(e)
		b, err := xmlstream.AppendElement(nil, answer, nsClient)
		if err != nil {
			return err // Location cannot be written
		}
		enabled, steps = string(b), append(steps, StepEnable)
	}
	cut, lost := s.meetsCut(steps...)
	lostFeatures := false
	if !lost {
		cut, lostFeatures = s.meetsCut(StepSessionFeatures)
	}

	s.srv.mu.Lock()
	if !s.take(full) {
		if full, err = s.account.bare.WithResource(newResource()); err != nil || !s.take(full) {
			panic("testserver: a random resource is in use")
		}
	}
	for _, e := range req.ChildElements() {
		if ns := e.NamespaceURI(); slices.Contains(s.srv.bindFeatures(), ns) {
			s.enabled = append(s.enabled, ns)
		}
	}
	if m != nil && m.id != "" {
		s.srv.sm.byID[m.id] = m
	}
	s.sending.Lock()
	s.sm = m
	out := s.tampered(StepSuccess, success("<bound xmlns='"+nsBind2+"'>"+s.srv.opts.Login.BindMetadata+enabled+"</bound>"))
	if lost {
		out = cut.part(out)
	} else {
		features := s.tampered(StepSessionFeatures, []byte(s.features()))
		if lostFeatures {
			features = cut.part(features)
		} else if m != nil {
			m.link = s.link
		}
		out = append(out, features...)
	}
	s.link.sendRaw(out)
	s.sending.Unlock()
	s.srv.unlock()
	if lost || lostFeatures {
		s.cut(cut.kind)
		return errCut
	}
	return nil
}

// wantsSM returns the <enable/> of a request, nil if there is none or none is possible.
func (s *Session) wantsSM(req *etree.Element) *etree.Element {
	e := child(req, "enable", nsSM)
	if e == nil || !s.inlineSM() {
		return nil
	}
	return e
}

// Enabled reports whether the client has enabled a feature when it bound its resource by Bind 2, stream management apart:
// carbons, or that it is inactive. See LoginOptions.BindFeatures.
func (s *Session) Enabled(ns string) bool {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	return slices.Contains(s.enabled, ns)
}

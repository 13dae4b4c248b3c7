package testserver

import (
	"encoding/base64"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp/jid"
)

// signedOffer is what SCRAM's server-first-message says, under the signature of both sides, of what was offered:
// h (XEP-0474 §5) and t (XEP-0515). Both profiles of SASL offer the same mechanisms here, so that there is one hash.
func (s *Session) signedOffer(h func() hash.Hash) string {
	o := &s.srv.opts.Login
	if o.NoOfferHash {
		return ""
	}
	out := ",h=" + offerHash(h, s.mechanisms(), s.bindingList())
	if s.tls != nil && (o.SignTLS || o.ClaimTLS != 0) {
		version := o.ClaimTLS
		if version == 0 {
			version = s.tls.ConnectionState().Version
		}
		out += fmt.Sprintf(",t=%04x", version)
	}
	return out
}

// offerHash leaves the second list out where the server sends none.
func offerHash(h func() hash.Hash, mechanisms, bindings []string) string {
	text := sortedList(mechanisms)
	if len(bindings) > 0 {
		text += "\x1f" + sortedList(bindings)
	}
	d := h()
	d.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(d.Sum(nil))
}

func sortedList(list []string) string {
	return strings.Join(slices.Sorted(slices.Values(list)), "\x1e")
}

// configFeature is the version of what is offered (XEP-0509).
func (s *Server) configFeature() string {
	v := s.currentConfig()
	if v == "" || !s.opts.SASL2 {
		return ""
	}
	return "<config-version xmlns='" + nsConfig + "' scheme='opaque' value='" + escape(v) + "'/>"
}

// hasKeys reports whether the server has keys of a mechanism for whoever says that he is j: of the mechanisms
// that accounts are upgraded to (XEP-0480), only those who were.
func (s *Server) hasKeys(j jid.JID, mechanism string) bool {
	if !slices.Contains(s.opts.Login.Upgrades, mechanism) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account(j.Bare())
	return a != nil && a.upgraded[mechanism]
}

package testserver

import (
	"slices"
	"time"
)

// LoginOptions says how clients log in. The zero value is what servers do that are up to date;
// of it SASL2 and what is inside that are seen only with Options.SASL2 set.
//
// Single parts of SASL2 are taken away by Options.Without: "urn:xmpp:bind:0" (XEP-0386), "urn:xmpp:fast:0" (XEP-0484).
type LoginOptions struct {
	// NoSASL leaves out the mechanisms in the namespace of RFC 6120.
	NoSASL bool
	// NeedFrom makes the server offer SASL2 only to clients that have said in their stream header who they are, as ejabberd does.
	NeedFrom bool
	// NoInlineSM leaves stream management out of SASL2 and Bind 2: it is done in steps of its own.
	NoInlineSM bool
	// BindFeatures are what Bind 2 can enable besides stream management. The server does nothing but note it, see [Session.Enabled].
	// If nil, carbons (XEP-0280) and client states (XEP-0352).
	BindFeatures []string
	// BindMetadata is an XML element put into <bound/>, as the archive does (XEP-0313). If empty, there is none.
	BindMetadata string
	// FASTMechanisms are those tokens can be asked for. If nil, all that this connection can: HT-SHA-256-EXPR, -UNIQ, -ENDP, -NONE.
	FASTMechanisms []string
	// TokenLife is how long a token is good. If zero, [DefaultTokenLife].
	TokenLife time.Duration
	// KeepToken makes a login by token bring no new token, as with ejabberd; otherwise each one does, as with Prosody.
	KeepToken bool
	// Upgrades are the mechanisms, without -PLUS, that the server has keys for only of accounts whose client
	// has done the task of XEP-0480; it offers them to nobody else. They are SCRAM-SHA-256 and SCRAM-SHA-512. If nil, there are none.
	Upgrades []string
	// Tasks are tasks that SASL2 asks every client to do. They stand for what a client does not know: their data means nothing. If nil, there are none.
	Tasks []string
	// ConfigVersion is the version of what the server offers (XEP-0509); [Server.SetConfigVersion] changes it. If empty, none is announced.
	ConfigVersion string

	// NoOfferHash leaves the signed hash of what is offered out of SCRAM (XEP-0474).
	NoOfferHash bool
	// SignTLS adds the version of TLS to it (XEP-0515), on encrypted streams.
	SignTLS bool
	// ClaimTLS is a version of TLS that the server signs in place of the connection's. If zero, it signs the truth.
	ClaimTLS uint16
	// Stripped are mechanisms and types of channel binding that somebody between server and client removes from what the server offers.
	// The server knows nothing of that: it accepts them, and signs that it has offered them. If nil, nothing is removed.
	Stripped []string
	// LateProof sends the server's last words of a mechanism as a challenge, which the client answers with nothing, in place of in the success.
	// DIGEST-MD5 always does (RFC 2831 §2.1.3).
	LateProof bool

	// AnyCertificate makes EXTERNAL accept any name from a client whose certificate Options.ClientCAs trust and has no JID in it.
	AnyCertificate bool
	// NoRealm leaves the realm out of the challenge of DIGEST-MD5, as ejabberd does.
	NoRealm bool
	// IQAuth adds the login of before SASL (XEP-0078).
	IQAuth bool
	// NoDigest leaves the digest out of that: it takes the password itself only.
	NoDigest bool
	// Old makes a server of before XMPP 1.0: its stream header has no version, there are no features, and so neither STARTTLS nor SASL.
	// The login is that of XEP-0078, whatever Options.TLS says; direct TLS works.
	Old bool
}

// DefaultTokenLife is how long tokens are good (XEP-0484).
const DefaultTokenLife = 21 * 24 * time.Hour

func (o *LoginOptions) tokenLife() time.Duration {
	if o.TokenLife == 0 {
		return DefaultTokenLife
	}
	return o.TokenLife
}

// bindFeatures are what Bind 2 can enable, stream management apart.
func (s *Server) bindFeatures() []string {
	list := s.opts.Login.BindFeatures
	if list == nil {
		list = []string{nsCarbons, nsCSI}
	}
	return slices.DeleteFunc(slices.Clone(list), func(ns string) bool { return !s.has(ns) })
}

// stripped reports whether somebody removes this name from what the server offers.
func (s *Server) stripped(name string) bool { return slices.Contains(s.opts.Login.Stripped, name) }

// SetConfigVersion replaces LoginOptions.ConfigVersion: what is offered has changed.
func (s *Server) SetConfigVersion(version string) {
	s.mu.Lock()
	s.configVersion = version
	s.mu.Unlock()
}

func (s *Server) currentConfig() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.configVersion
}

package testserver

import (
	"encoding/base64"
	"strings"

	"github.com/beevik/etree"
)

// sasl2 is the SASL2 state of one stream (XEP-0388).
type sasl2 struct {
	request *etree.Element // the <authenticate/> that is under way, nil if none is
	attempt *attempt       // nil: no exchange is under way

	// once SASL itself has succeeded
	account *account
	reply   string   // what goes with the success; sent with the first <continue/> otherwise
	tasks   []string // that are still to be done
	task    *task    // the one that is under way
}

// offersSASL2 reports whether this connection is offered SASL2: only with TLS (§3), where there is any.
func (s *Session) offersSASL2() bool {
	o := &s.srv.opts
	return o.SASL2 && (s.tls != nil || o.TLS == TLSNone) && (!o.Login.NeedFrom || s.from.Local() != "")
}

func (s *Session) sasl2Feature() string {
	inline := s.bind2Feature()
	if s.inlineSM() {
		inline += "<sm xmlns='" + nsSM + "'/>"
	}
	inline += s.fastFeature()
	f := "<authentication xmlns='" + nsSASL2 + "'>" + s.mechanismElements()
	if inline != "" {
		f += "<inline>" + inline + "</inline>"
	}
	return f + s.upgradeFeature() + "</authentication>"
}

func (s *Session) inlineSM() bool { return !s.srv.opts.NoSM && !s.srv.opts.Login.NoInlineSM }

// stepSASL2 handles one element of the SASL2 namespace. It reports whether the client now is logged in;
// with a resource, if it has asked for that.
func (s *Session) stepSASL2(a *authenticator, x *sasl2, e *etree.Element) (bool, error) {
	var reply, user string
	var err error
	switch {
	case e.Tag == "authenticate" && x.request != nil: // one at a time, and none after SASL has succeeded (§4.8)
		return false, streamError{cond: "policy-violation", text: "authentication is under way"}
	case e.Tag == "authenticate":
		reply, user, err = s.authenticate2(x, e)
	case x.request == nil:
		err = saslError("malformed-request")
	case e.Tag == "abort":
		err = saslError("aborted")
	case e.Tag == "response" && x.account == nil:
		reply, user, err = x.attempt.stepEncoded(s, e)
	case x.account != nil && (e.Tag == "next" || e.Tag == "task-data"):
		done, err := s.stepTask(x, e)
		if err != nil {
			return false, s.refuse2(a, x, err)
		}
		if !done {
			return false, nil
		}
		return s.finish2(x)
	default:
		err = saslError("malformed-request")
	}
	switch {
	case err != nil:
		return false, s.refuse2(a, x, err)
	case user == "":
		return false, s.say(StepChallenge, []byte("<challenge xmlns='"+nsSASL2+"'>"+encode(reply)+"</challenge>"))
	}
	s.srv.mu.Lock()
	x.account = s.srv.accounts[user]
	s.srv.mu.Unlock()
	x.reply = reply
	x.tasks = s.wantedTasks(x)
	if len(x.tasks) > 0 {
		return false, s.continue2(x)
	}
	return s.finish2(x)
}

// authenticate2 begins.
func (s *Session) authenticate2(x *sasl2, e *etree.Element) (reply, user string, err error) {
	x.request = e
	if c := child(e, "config-version", nsConfig); c != nil && attr(c, "value") != s.srv.currentConfig() {
		return "", "", errConfigVersion
	}
	mechanism := attr(e, "mechanism")
	if strings.HasPrefix(mechanism, "HT-") {
		x.attempt = s.beginFAST(mechanism, e)
	} else {
		x.attempt = s.begin(mechanism)
	}
	if x.attempt == nil {
		return "", "", saslError("invalid-mechanism")
	}
	initial := child(e, "initial-response", nsSASL2)
	if initial == nil {
		return x.attempt.invite(s)
	}
	return x.attempt.stepEncoded(s, initial)
}

// stepEncoded takes what the client says in base64; there is no "=" for nothing (§2.2).
func (a *attempt) stepEncoded(s *Session, e *etree.Element) (reply, user string, err error) {
	data, err := base64.StdEncoding.DecodeString(e.Text())
	if err != nil {
		return "", "", saslError("incorrect-encoding")
	}
	return a.step(s, string(data))
}

// errConfigVersion says that the client has pipelined what it knew of another configuration (XEP-0509).
const errConfigVersion = saslError("config-version-mismatch")

// refuse2 says that it has failed; the stream goes on (§2.6.2).
func (s *Session) refuse2(a *authenticator, x *sasl2, err error) error {
	*x = sasl2{}
	cond, tooMany := a.failure(err)
	ns := nsSASL
	if cond == string(errConfigVersion) {
		ns = nsConfig
		a.failures-- // it was no attempt
	}
	if err := s.say(StepFailure, []byte("<failure xmlns='"+nsSASL2+"'><"+cond+" xmlns='"+ns+"'/></failure>")); err != nil {
		return err
	}
	if cond == string(errConfigVersion) {
		return nil
	}
	return tooMany
}

// finish2 logs the client in, and does what it has asked for inline: a resumption first, a resource if that comes to nothing (XEP-0386 §3.2).
func (s *Session) finish2(x *sasl2) (bool, error) {
	s.login(x.account)
	request := x.request
	s.srv.mu.Lock()
	token := s.newToken(x.attempt, x.account, request)
	s.srv.mu.Unlock()
	success := func(inner string) []byte {
		out := "<success xmlns='" + nsSASL2 + "'>"
		if x.reply != "" {
			out += "<additional-data>" + encode(x.reply) + "</additional-data>"
		}
		who := s.account.bare
		if s.jid.Resource() != "" {
			who = s.jid
		}
		return []byte(out + "<authorization-identifier>" + escape(who.String()) + "</authorization-identifier>" + inner + token + "</success>")
	}
	inner := ""
	if e := child(request, "resume", nsSM); e != nil && s.inlineSM() {
		answer, resumed, err := s.tryResume(e, func(answer string) []byte { return success(answer) }, StepSuccess, StepResume)
		if resumed || err != nil {
			return resumed, err // no features follow (XEP-0198 §9.2)
		}
		inner = answer
	}
	if e := child(request, "bind", nsBind2); e != nil && s.srv.has(nsBind2) {
		return true, s.bind2(e, userAgent(request), func(bound string) []byte { return success(inner + bound) })
	}
	if err := s.say(StepSuccess, success(inner)); err != nil {
		return false, err
	}
	return true, s.say(StepSessionFeatures, []byte(s.features()))
}

package testserver

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"
)

// taskPrefix makes the name of a task of that of a mechanism (XEP-0480 §3).
const taskPrefix = "UPGR-"

// task is what a client has to do between SASL and the success (XEP-0388 §2.6.3).
type task struct {
	name       string
	salt       []byte // nil: a task that means nothing
	iterations int
}

// upgradeFeature offers what whoever this says he is could be upgraded to (XEP-0480 §2).
func (s *Session) upgradeFeature() string {
	f := ""
	for _, mechanism := range s.srv.opts.Login.Upgrades {
		if !s.srv.hasKeys(s.from, mechanism) {
			f += "<upgrade xmlns='" + nsUpgrade + "'>" + taskPrefix + escape(mechanism) + "</upgrade>"
		}
	}
	return f
}

// wantedTasks are the upgrades that the client has asked for, and what it must do anyway.
func (s *Session) wantedTasks(x *sasl2) []string {
	var out []string
	for _, e := range x.request.ChildElements() {
		if !is(e, "upgrade", nsUpgrade) {
			continue
		}
		name := strings.TrimSpace(e.Text())
		mechanism, ok := strings.CutPrefix(name, taskPrefix)
		if ok && slices.Contains(s.srv.opts.Login.Upgrades, mechanism) && !s.srv.hasKeys(x.account.bare, mechanism) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return append(out, s.srv.opts.Login.Tasks...)
}

// continue2 says that there is more to do.
func (s *Session) continue2(x *sasl2) error {
	out := "<continue xmlns='" + nsSASL2 + "'>"
	if x.reply != "" {
		out += "<additional-data>" + encode(x.reply) + "</additional-data>"
	}
	x.reply = "" // said once: the client has verified it by now
	out += "<tasks>"
	for _, t := range x.tasks {
		out += "<task>" + escape(t) + "</task>"
	}
	return s.say(StepContinue, []byte(out+"</tasks></continue>"))
}

// stepTask handles <next/> and <task-data/>. It reports whether all is done; otherwise it has answered.
func (s *Session) stepTask(x *sasl2, e *etree.Element) (done bool, err error) {
	if e.Tag == "next" {
		name := attr(e, "task")
		if x.task != nil || !slices.Contains(x.tasks, name) {
			return false, saslError("malformed-request")
		}
		x.task = &task{name: name}
		out := ""
		if _, ok := strings.CutPrefix(name, taskPrefix); ok {
			x.task.salt, x.task.iterations = make([]byte, 16), s.srv.opts.Iterations
			rand.Read(x.task.salt)
			out = "<salt xmlns='" + nsScramUpgrade + "' iterations='" + strconv.Itoa(x.task.iterations) + "'>" +
				base64.StdEncoding.EncodeToString(x.task.salt) + "</salt>"
		}
		return false, s.say(StepTask, []byte("<task-data xmlns='"+nsSASL2+"'>"+out+"</task-data>"))
	}
	if x.task == nil {
		return false, saslError("malformed-request")
	}
	if x.task.salt != nil {
		if err := s.upgraded(x, e); err != nil {
			return false, err
		}
	}
	x.tasks = slices.DeleteFunc(x.tasks, func(name string) bool { return name == x.task.name })
	x.task = nil
	if len(x.tasks) > 0 {
		return false, s.continue2(x)
	}
	return true, nil
}

// upgraded stores the keys that come of the client's SaltedPassword.
func (s *Session) upgraded(x *sasl2, e *etree.Element) error {
	mechanism := strings.TrimPrefix(x.task.name, taskPrefix)
	h, answer := scramHashes[mechanism], child(e, "hash", nsScramUpgrade)
	if answer == nil || h == nil {
		return saslError("malformed-request")
	}
	salted, err := base64.StdEncoding.DecodeString(strings.TrimSpace(answer.Text()))
	if err != nil || len(salted) != h().Size() {
		return saslError("malformed-request")
	}
	s.srv.mu.Lock()
	x.account.keys[mechanism] = scramKeysOf(h, salted, x.task.salt, x.task.iterations)
	x.account.upgraded[mechanism] = true
	s.srv.mu.Unlock()
	return nil
}

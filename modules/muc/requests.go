package muc

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// The forms in which rooms pass requests on (sections 15.5.1 and 15.5.2).
const (
	formRequest   = NS + "#request"
	formRegister  = NS + "#register"
	requestAllow  = "muc#request_allow"
	registerAllow = "muc#register_allow"
)

// VoiceRequest is the wish of an occupant to be given another role, mostly a voice, as the room passes it on to its moderators (section 8.6).
type VoiceRequest struct {
	Role Role       // that is wished for
	Nick string     // of the occupant
	JID  xmpp.JID   // the real address of the occupant, zero if the room does not say
	Form *form.Form // as it came, read-only
}

// RegistrationRequest is the wish of somebody to be registered with the room, as a room that leaves that to people passes it on to its admins (section 9.9).
// What it says of the person, the person has said.
type RegistrationRequest struct {
	Nick        string
	First, Last string     // names
	URL, Email  string     // may be empty
	FAQ         string     // an entry for the list of questions; may be empty
	Form        *form.Form // as it came, read-only
}

// RequestDelegate hears of requests that are to be decided by people.
type RequestDelegate interface {
	// RoomDidReceiveVoiceRequest is called for a moderator when an occupant wishes to have a voice. [Room.AnswerVoiceRequest] answers; to do nothing is an answer, too.
	RoomDidReceiveVoiceRequest(ctx context.Context, r *Room, v VoiceRequest)
	// RoomDidReceiveRegistrationRequest is called for an admin when somebody wishes to be registered. [Room.AnswerRegistrationRequest] answers.
	RoomDidReceiveRegistrationRequest(ctx context.Context, r *Room, q RegistrationRequest)
}

// RequestVoice asks the moderators for a voice (section 7.13), and returns the id of the request, without waiting. What comes of it is seen by the own role,
// which an [OccupantDelegate] hears; a refusal by the room itself, by a [FailureDelegate]. Nobody is told that a moderator has said no.
// The error is that of [Room.SendMessage].
func (r *Room) RequestVoice(ctx context.Context) (id string, err error) {
	f := form.New(form.TypeSubmit, formRequest)
	f.Fields = append(f.Fields, form.Field{Var: "muc#role", Type: form.TextSingle, Label: "Requested role", Values: []string{RoleParticipant.String()}})
	return r.sendForm(ctx, f)
}

// AnswerVoiceRequest gives an occupant what he has asked for, or does not (section 8.6), and returns the id of the answer, without waiting:
// a refusal by the room is told to a [FailureDelegate]. It does the same as [Room.SetRole], by the words of the request.
// The error is that of [Room.SendMessage].
func (r *Room) AnswerVoiceRequest(ctx context.Context, v VoiceRequest, allow bool) (id string, err error) {
	return r.sendForm(ctx, answerTo(v.Form, formRequest, requestAllow, allow))
}

// AnswerRegistrationRequest registers somebody who has asked for it, or does not (section 9.9), and returns the id of the answer. It is otherwise as [Room.AnswerVoiceRequest].
func (r *Room) AnswerRegistrationRequest(ctx context.Context, q RegistrationRequest, allow bool) (id string, err error) {
	return r.sendForm(ctx, answerTo(q.Form, formRegister, registerAllow, allow))
}

// answerTo is the request with all it says, and the word of who decides.
func answerTo(f *form.Form, formType, allowVar string, allow bool) *form.Form {
	out := form.New(form.TypeSubmit, formType)
	if f != nil {
		for _, x := range f.Fields {
			if x.Var != "" && x.Var != form.FormTypeVar && x.Var != allowVar && x.Type != form.Fixed {
				out.Set(x.Var, x.Values...)
			}
		}
	}
	word := "false"
	if allow {
		word = "true"
	}
	return out.Set(allowVar, word)
}

// sendForm sends the room a form in a message.
func (r *Room) sendForm(ctx context.Context, f *form.Form) (id string, err error) {
	m := stanza.NewMessage(stanza.Normal, r.jid, "")
	m.Remove("body", stanza.NSClient)
	m.Add(f)
	p, err := r.send(ctx, m, r.jid)
	if err != nil {
		return "", err
	}
	return p.id, nil
}

// requestLocked takes a message of the room itself that is a request, and reports whether it is one.
func (r *Room) requestLocked(st *stanza.Message) bool {
	x := st.Child("x", form.NS)
	if x == nil {
		return false
	}
	f, err := form.Parse(x)
	if err != nil || f.Type != form.TypeForm {
		return false
	}
	value := func(name string) string { return clip(f.Value(name), maxText) }
	switch f.FormType() {
	case formRequest:
		v := VoiceRequest{Role: ParseRole(f.Value("muc#role")), Nick: value("muc#roomnick"), Form: f}
		if j, err := xmpp.ParseJID(f.Value("muc#jid")); err == nil {
			v.JID = j.Clone()
		}
		notify(r, ofRequest, func(ctx context.Context, d RequestDelegate) { d.RoomDidReceiveVoiceRequest(ctx, r, v) })
	case formRegister:
		q := RegistrationRequest{
			Nick: value("muc#register_roomnick"), First: value("muc#register_first"), Last: value("muc#register_last"),
			URL: value("muc#register_url"), Email: value("muc#register_email"), FAQ: value("muc#register_faqentry"), Form: f,
		}
		notify(r, ofRequest, func(ctx context.Context, d RequestDelegate) { d.RoomDidReceiveRegistrationRequest(ctx, r, q) })
	default:
		return false
	}
	return true
}

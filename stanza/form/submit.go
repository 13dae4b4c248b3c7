package form

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-xmppframework/xmpp/jid"
)

// Submission is a form that is being filled in. Make it with [Form.Submit].
type Submission struct {
	form *Form
	set  map[string][]string
	errs []*FieldError // at most one for each name

	failed error // not of a field
	all    bool  // with the values of those that are not set
}

// Submit begins the answer to a form of type form. What is not set keeps the value that the form came with (section 3.5).
func (f *Form) Submit() *Submission {
	return &Submission{form: f, set: make(map[string][]string)}
}

// Cancel makes the answer that refuses to fill the form in.
func (f *Form) Cancel() *Form { return &Form{Type: TypeCancel} }

// Set fills a field in, in place of what was set before. Line breaks in a text of several lines make several values.
// Without values the field is sent empty, which unsets it where the other side understands that (section 3.6).
// What is wrong with it is told by [Submission.Form]. It returns s, so that calls can be chained.
func (s *Submission) Set(name string, values ...string) *Submission {
	s.errs = slices.DeleteFunc(s.errs, func(e *FieldError) bool { return e.Var == name })
	x := s.form.Field(name)
	if x == nil || x.Type == Fixed {
		s.errs = append(s.errs, &FieldError{name, ErrNoField})
		return s
	}
	accepted, err := x.accept(values)
	if err != nil {
		s.errs = append(s.errs, &FieldError{name, err})
		accepted = values // a wrong value is not a missing one
	}
	s.set[name] = accepted
	return s
}

// SetBool is Set for a boolean.
func (s *Submission) SetBool(name string, v bool) *Submission {
	return s.Set(name, strconv.FormatBool(v))
}

// SetJIDs is Set for addresses.
func (s *Submission) SetJIDs(name string, list ...jid.JID) *Submission {
	values := make([]string, len(list))
	for i, j := range list {
		values[i] = j.String()
	}
	return s.Set(name, values...)
}

// Form makes the form of type submit, to be sent: the hidden fields as they came, what was set, and what is required.
// If something is wrong, the form is nil, and the error joins a [*FieldError] for each field: a name that is not in the form, or is there twice,
// a value that is not allowed, a required field without a value.
func (s *Submission) Form() (*Form, error) {
	var errs []error
	if s.failed != nil {
		errs = append(errs, s.failed)
	}
	for _, e := range s.errs {
		errs = append(errs, e)
	}
	out := &Form{Type: TypeSubmit}
	seen := make(map[string]bool, len(s.form.Fields))
	for i := range s.form.Fields {
		x := &s.form.Fields[i]
		values, isSet := s.set[x.Var]
		switch {
		case x.Type == Fixed || x.Var == "":
			continue
		case seen[x.Var]:
			errs = append(errs, &FieldError{x.Var, ErrDuplicate})
			continue
		case isSet:
		case s.all:
			values = x.Values
		case x.Type == Hidden || x.Required:
			var err error
			if values, err = x.accept(x.Values); err != nil {
				errs = append(errs, &FieldError{x.Var, err})
			}
		default:
			seen[x.Var] = true
			continue
		}
		seen[x.Var] = true
		if x.Required && !slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
			errs = append(errs, &FieldError{x.Var, ErrRequired})
		}
		out.Fields = append(out.Fields, Field{Var: x.Var, Type: x.Type, Values: slices.Clone(values)})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

// SetStruct is Set for the fields of a struct: see [Marshal] for how they are named, and what is left out. A field that the form does not have is left out
// as well, so that one struct serves forms of several makers. A mistake in the program is told by [Submission.Form], as an error that matches [ErrType].
func (s *Submission) SetStruct(v any) *Submission {
	fields, err := marshal(v)
	if err != nil {
		s.failed = errors.Join(s.failed, err)
	}
	for _, x := range fields {
		if s.form.Field(x.Var) != nil {
			s.Set(x.Var, x.Values...)
		}
	}
	return s
}

// Fill is for whoever has made the form: it takes an answer of somebody else, of type submit, and makes the form of type submit that holds all: what was answered,
// and for the rest the values that f came with. It refuses what f does not allow, as [Submission.Form] does: the error joins a [*FieldError] for each field,
// and the form is nil. Hidden fields are those of f, whatever the answer says; fields that f does not have are left out.
// A form of another FORM_TYPE, or of another type, is refused with an error that matches [ErrNotForm].
func (f *Form) Fill(answer *Form) (*Form, error) {
	if answer == nil || answer.Type != TypeSubmit && answer.Type != "" {
		return nil, fmt.Errorf("%w of type submit", ErrNotForm)
	}
	if t := answer.FormType(); t != "" && t != f.FormType() {
		return nil, fmt.Errorf("%w: it is for %.60q", ErrNotForm, t)
	}
	s := f.Submit()
	s.all = true
	seen := make(map[string]bool, len(answer.Fields))
	for i := range answer.Fields {
		x := &answer.Fields[i]
		mine := f.Field(x.Var)
		switch {
		case mine == nil || x.Type == Fixed || mine.Type == Fixed || mine.Type == Hidden:
		case seen[x.Var]:
			s.errs = append(s.errs, &FieldError{x.Var, ErrDuplicate})
		default:
			seen[x.Var] = true
			s.Set(x.Var, x.Values...)
		}
	}
	return s.Form()
}

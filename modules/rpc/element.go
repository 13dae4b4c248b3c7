package rpc

import (
	"strconv"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// parseCall reads {NS}query with a call.
func parseCall(e *etree.Element) (method string, params []any, err error) {
	call := stanza.Child(e, "methodCall", NS)
	method = strings.Clone(strings.TrimSpace(stanza.ChildText(call, "methodName", NS)))
	if !validName(method) {
		return "", nil, malformed("no name of a method")
	}
	params, err = parseParams(stanza.Child(call, "params", NS))
	return method, params, err
}

func parseParams(e *etree.Element) ([]any, error) {
	var r reader
	var out []any
	for p := range stanza.Children(e, "param", NS) {
		v := stanza.Child(p, "value", NS)
		if v == nil {
			return nil, malformed("a parameter without a value")
		}
		x, err := r.value(v, 0)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// parseResponse reads {NS}query with an answer: a value, or nil where the method returns none, or a [*Fault].
func parseResponse(e *etree.Element) (any, error) {
	resp := stanza.Child(e, "methodResponse", NS)
	if resp == nil || !stanza.Is(e, "query", NS) {
		return nil, malformed("no response")
	}
	if f := stanza.Child(resp, "fault", NS); f != nil {
		var r reader
		v, err := r.value(stanza.Child(f, "value", NS), 0)
		if err != nil {
			return nil, err
		}
		var fault struct {
			Code   int    `rpc:"faultCode"`
			String string `rpc:"faultString"`
		}
		if _, ok := v.(map[string]any); !ok || Into(v, &fault) != nil {
			return nil, malformed("a fault without code and string")
		}
		return nil, &Fault{fault.Code, fault.String}
	}
	params, err := parseParams(stanza.Child(resp, "params", NS))
	switch {
	case err != nil:
		return nil, err
	case len(params) > 1:
		return nil, malformed("several results")
	case len(params) == 0:
		return nil, nil
	}
	return params[0], nil
}

// resultElement makes the answer with a value; nil is no value.
func resultElement(v any) (*etree.Element, error) {
	b := stanza.New("query", NS).C("methodResponse")
	if v == nil {
		return b.C("params").Element(), nil
	}
	err := writeParams(b, []any{v})
	return b.Element(), err
}

func faultElement(f *Fault) *etree.Element {
	b := stanza.New("query", NS).C("methodResponse").C("fault").C("value").C("struct")
	b.C("member").C("name").T("faultCode").Up().C("value").C("int").T(strconv.Itoa(f.Code)).Up().Up().Up()
	b.C("member").C("name").T("faultString").Up().C("value").C("string").T(f.String)
	return b.Element()
}

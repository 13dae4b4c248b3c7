package compat

import (
	"context"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/sm"
)

// trip is a kind of login whose round trips are counted.
type trip struct {
	name                        string
	sasl2, bind2, token, resume bool
	pipelining                  bool
}

func trips() (all []trip) {
	for _, pipelining := range []bool{false, true} {
		for _, t := range []trip{
			{name: "SASL"},
			{name: "SASL2", sasl2: true},
			{name: "SASL2 + Bind 2", sasl2: true, bind2: true},
			{name: "SASL2 + Bind 2 + FAST", sasl2: true, bind2: true, token: true},
			{name: "SASL2 + FAST + resume", sasl2: true, token: true, resume: true},
		} {
			if t.pipelining = pipelining; pipelining {
				t.name += ", pipelined"
			}
			all = append(all, t)
		}
	}
	return all
}

// shortest is the login that takes one round trip after TLS.
const shortest = "SASL2 + FAST + resume, pipelined"

// unused is the cell of a login that the server does otherwise: the table of what there is tells.
const unused = "–"

// trips is the cell of a login: all its round trips, and those after TLS.
func (v *visit) trips(t trip) (cell string, err error) {
	for range 5 {
		var all, secured, told int
		if all, secured, told, err = v.count(t); err != nil {
			return reason(err), nil
		}
		switch {
		case all == 0:
			return unused, nil
		case v.way == bosh && told <= all: // what goes on in its connections depends on who is faster
			return fmt.Sprintf("%d", told), nil
		case all == told:
			return fmt.Sprintf("%d / %d", all, secured), nil
		}
		err = fmt.Errorf("%s, %s, %s: %d round trips, Security says %d", v.site.name, v.way, t.name, all, told)
	}
	return "wrong", err
}

// count is zero if the login was another one.
func (v *visit) count(t trip) (all, secured, told int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, err := v.stream(integration.Full, false, func(cfg *xmpp.Config) {
		cfg.NoSASL2, cfg.NoFAST, cfg.Bind2, cfg.Pipelining = !t.sasl2, !t.token, t.bind2 || t.resume, t.pipelining
		cfg.InsecureUnboundTokens = t.token
	})
	if err != nil {
		return 0, 0, 0, err
	}
	defer shut(c.Stream)
	c.slow = true
	if t.resume {
		if err := sm.New(sm.Config{}).Activate(c.Stream); err != nil {
			return 0, 0, 0, err
		}
	}
	logins := 1
	if t.pipelining || t.token || t.resume {
		logins = 2
	}
	for i := range logins {
		c.reset()
		if err := c.Login(ctx); err != nil {
			return 0, 0, 0, err
		}
		all, secured = c.trips()
		sec := c.Security()
		told = sec.RoundTrips
		if sec.SASL2 != t.sasl2 || i == 0 && sec.Bind2 != (t.bind2 || t.resume) || i > 0 && (sec.Token != t.token || sec.Resumed != t.resume) {
			return 0, 0, 0, nil
		}
		switch {
		case i == logins-1:
		case t.resume:
			c.cut(true)
			err := c.waitEnded(ctx)
			c.cut(false)
			if err != nil {
				return 0, 0, 0, err
			}
		default:
			c.down()
		}
	}
	return all, secured, told, nil
}

// componentTrips is the cell of a component.
func (s *site) componentTrips() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cfg, pw := s.component()
	c := &counter{dial: cfg.Dial}
	cfg.Dial, cfg.Credentials = c.Dial, xmpp.Password(pw)
	st, err := xmpp.New(cfg)
	if err != nil {
		return "", err
	}
	defer shut(st)
	if err := st.Login(ctx); err != nil {
		return reason(err), nil
	}
	all, _ := c.trips()
	if told := st.Security().RoundTrips; told != all {
		return "wrong", fmt.Errorf("%s, component: %d round trips, Security says %d", s.name, all, told)
	}
	return fmt.Sprint(all), nil
}

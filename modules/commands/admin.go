package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// NSAdmin is the FORM_TYPE of XEP-0133, and with a # and a name the node of each of its commands.
const NSAdmin = "http://jabber.org/protocol/admin"

// Admin runs the commands for the administrators of a service: XEP-0133. Make it with [Commands.Admin].
//
// No server has all of them; one that is missing gives an error that matches stanza.ItemNotFound, or on some servers another one, and one that the account may not run
// stanza.Forbidden: [Commands.List] tells which there are. A command that the server ran without success gives a [*FailedError]. For the rest the errors are those of
// [Commands.Execute] and [form.Submission.Form].
type Admin struct {
	c       *Commands
	service xmpp.JID
}

// Admin is for a service; the zero JID is the own server.
func (c *Commands) Admin(service xmpp.JID) *Admin { return &Admin{c, service} }

// maxAdminStages is how many forms one after another a command may have.
const maxAdminStages = 10

// Run runs any command whose forms can be filled in from one struct, which has the tags of [form.Marshal]: what a form has no field for is left out, so the struct may
// hold the names that several servers use. nil leaves all forms as they came. A node without a colon is one of XEP-0133, such as "add-user". The result is that of the last stage, with the error of [Reply.Err].
func (a *Admin) Run(ctx context.Context, node string, fields any) (*Reply, error) {
	return a.run(ctx, node, func(*form.Form) (any, error) { return fields, nil })
}

func (a *Admin) run(ctx context.Context, node string, fill func(*form.Form) (any, error)) (r *Reply, err error) {
	if !strings.Contains(node, ":") {
		node = NSAdmin + "#" + node
	}
	ses, err := a.c.Execute(ctx, a.service, node)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && !ses.Done() { // so that the server can forget it
			_ = ses.Cancel(ctx)
		}
	}()
	for range maxAdminStages {
		if r = ses.Reply(); ses.Done() {
			return r, r.Err()
		}
		var filled *form.Form
		if r.Form != nil {
			v, err := fill(r.Form)
			if err != nil {
				return nil, err
			}
			sub := r.Form.Submit()
			if v != nil {
				sub.SetStruct(v)
			}
			if filled, err = sub.Form(); err != nil {
				return nil, err
			}
		}
		if err := ses.Submit(ctx, filled); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the command comes to no end", ErrAnswer)
}

// User is an account to be made.
type User struct {
	JID       xmpp.JID `form:"accountjid"`
	Password  string   `form:"password"`
	Verify    string   `form:"password-verify"` // if zero, Password
	Email     string   `form:"email,omitempty"`
	GivenName string   `form:"given_name,omitempty"`
	Surname   string   `form:"surname,omitempty"`
}

// AddUser makes an account (XEP-0133 section 4.1).
func (a *Admin) AddUser(ctx context.Context, u User) error {
	if u.Verify == "" {
		u.Verify = u.Password
	}
	_, err := a.Run(ctx, "add-user", u)
	return err
}

// ChangePassword gives an account another password (section 4.7).
func (a *Admin) ChangePassword(ctx context.Context, account xmpp.JID, password string) error {
	_, err := a.Run(ctx, "change-user-password", User{JID: account, Password: password, Verify: password})
	return err
}

// DeleteUsers deletes accounts, and all they have on the server (section 4.2). A server may leave out those that are not there, and say so in a note only.
func (a *Admin) DeleteUsers(ctx context.Context, accounts ...xmpp.JID) error {
	return a.accounts(ctx, "delete-user", accounts)
}

// DisableUsers keeps accounts from logging in (section 4.3).
func (a *Admin) DisableUsers(ctx context.Context, accounts ...xmpp.JID) error {
	return a.accounts(ctx, "disable-user", accounts)
}

// ReenableUsers takes that back (section 4.4).
func (a *Admin) ReenableUsers(ctx context.Context, accounts ...xmpp.JID) error {
	return a.accounts(ctx, "reenable-user", accounts)
}

// EndSessions ends the sessions of accounts: all of a bare address, one of a full one (section 4.5).
func (a *Admin) EndSessions(ctx context.Context, accounts ...xmpp.JID) error {
	return a.accounts(ctx, "end-user-session", accounts)
}

// accounts runs a command for several accounts: at once where the server has a field for that, else for one after another.
func (a *Admin) accounts(ctx context.Context, node string, list []xmpp.JID) error {
	for len(list) > 0 {
		n := len(list)
		_, err := a.run(ctx, node, func(f *form.Form) (any, error) {
			if f.Field("accountjids") == nil {
				n = 1
			}
			return struct {
				One  xmpp.JID   `form:"accountjid"`
				Many []xmpp.JID `form:"accountjids"`
			}{list[0], list[:n]}, nil
		})
		if err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// account runs a command for one account.
func (a *Admin) account(ctx context.Context, node string, account xmpp.JID) (*Reply, error) {
	r, err := a.Run(ctx, node, struct {
		One  xmpp.JID   `form:"accountjid"`
		Many []xmpp.JID `form:"accountjids"`
	}{account, []xmpp.JID{account}})
	if err == nil && r.Form == nil && len(r.Payload) == 0 {
		err = fmt.Errorf("%w: it holds nothing", ErrAnswer)
	}
	return r, err
}

// Roster returns the contacts of an account, as the element {jabber:iq:roster}query (section 4.8). A server that sends none, or writes it in another way, gives [ErrAnswer];
// its answer can be had with [Admin.Run].
func (a *Admin) Roster(ctx context.Context, account xmpp.JID) (*etree.Element, error) {
	r, err := a.account(ctx, "get-user-roster", account)
	if err != nil {
		return nil, err
	}
	all := r.Payload
	if r.Form != nil {
		all = append(slices.Clip(all), r.Form.Extra...) // beside the fields, as in the specification's example
	}
	for _, e := range all {
		if stanza.Is(e, "query", "jabber:iq:roster") {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: it holds no roster", ErrAnswer)
}

// LastLogin returns when an account has logged in last, in the server's words (section 4.9).
func (a *Admin) LastLogin(ctx context.Context, account xmpp.JID) (string, error) {
	r, err := a.account(ctx, "get-user-lastlogin", account)
	if err != nil {
		return "", err
	}
	return r.Form.Value("lastlogin"), nil
}

// UserStats is what a server tells of an account; servers leave out most of it.
type UserStats struct {
	IPAddresses      []string    `form:"ipaddresses"`
	RosterSize       int         `form:"rostersize"`
	OnlineResources  []string    `form:"onlineresources"`
	StanzasPerSecond float64     `form:"stanzaspersecond"`
	LoginsPerMinute  float64     `form:"loginsperminute"`
	Others           form.Fields `form:"*"` // what else it tells
}

// UserStats asks for that (section 4.10). The error may also be that of [form.Unmarshal].
func (a *Admin) UserStats(ctx context.Context, account xmpp.JID) (UserStats, error) {
	var st UserStats
	r, err := a.account(ctx, "user-stats", account)
	if err == nil {
		err = form.Unmarshal(r.Form, &st)
	}
	return st, err
}

// Users says which accounts are meant.
type Users string

// The kinds of accounts.
const (
	Registered Users = "registered"
	Disabled   Users = "disabled"
	Online     Users = "online"
	Active     Users = "active"
	Idle       Users = "idle"
)

// CountUsers returns how many such accounts there are (sections 4.13 to 4.17).
func (a *Admin) CountUsers(ctx context.Context, kind Users) (int, error) {
	r, err := a.Run(ctx, "get-"+string(kind)+"-users-num", nil)
	if err != nil {
		return 0, err
	}
	x := r.Form.Field(string(kind) + "usersnum")
	if x == nil {
		return 0, fmt.Errorf("%w: it holds no number", ErrAnswer)
	}
	return x.Int()
}

// ListUsers returns such accounts, up to limit where the server lets one choose (sections 4.18 to 4.22); 0 leaves that to the server, which may return a few only.
// With a limit that the server does not offer, it is the next larger one, or all. The error may also be a [*form.FieldError] for addresses that are none.
func (a *Admin) ListUsers(ctx context.Context, kind Users, limit int) ([]xmpp.JID, error) {
	node := "get-" + string(kind) + "-users-list"
	if kind == Active || kind == Idle {
		node = "get-" + string(kind) + "-users" // section 4.21, 4.22
	}
	r, err := a.run(ctx, node, func(f *form.Form) (any, error) {
		return struct {
			Max string `form:"max_items,omitempty"`
		}{limitOf(f.Field("max_items"), limit)}, nil
	})
	if err != nil {
		return nil, err
	}
	x := r.Form.Field(string(kind) + "userjids")
	if x == nil {
		return nil, fmt.Errorf("%w: it holds no list", ErrAnswer)
	}
	return x.JIDs()
}

// limitOf chooses among what is offered.
func limitOf(x *form.Field, limit int) string {
	if x == nil || limit <= 0 {
		return ""
	}
	best, value := 0, ""
	for _, o := range x.Options {
		n, ok := stanza.ParseInt[int](o.Value)
		switch {
		case ok && n >= limit && (best == 0 || n < best):
			best, value = n, o.Value
		case !ok && value == "": // "all", or "none" for no limit
			value = o.Value
		}
	}
	if len(x.Options) == 0 {
		return fmt.Sprint(limit)
	}
	return value
}

// notice is something that people are told.
type notice struct {
	Subject string `form:"subject,omitempty"`
	Text    string `form:"announcement,type=text-multi,omitempty"`
	Body    string `form:"body,type=text-multi,omitempty"` // in ejabberd
	MOTD    string `form:"motd,type=text-multi,omitempty"`
	Welcome string `form:"welcome,type=text-multi,omitempty"`
	Delay   string `form:"delay,omitempty"`
}

func (a *Admin) tell(ctx context.Context, node string, n notice) error {
	n.Body, n.MOTD, n.Welcome = n.Text, n.Text, n.Text
	_, err := a.Run(ctx, node, n)
	return err
}

// Announce tells all who are online (section 4.23). The subject is left out where the server knows none.
func (a *Admin) Announce(ctx context.Context, subject, text string) error {
	return a.tell(ctx, "announce", notice{Subject: subject, Text: text})
}

// SetMOTD sets the message that everybody gets who logs in, and sends it to who is online (section 4.24).
func (a *Admin) SetMOTD(ctx context.Context, subject, text string) error {
	return a.tell(ctx, "set-motd", notice{Subject: subject, Text: text})
}

// EditMOTD changes that message, and sends it to nobody at once (section 4.25).
func (a *Admin) EditMOTD(ctx context.Context, subject, text string) error {
	return a.tell(ctx, "edit-motd", notice{Subject: subject, Text: text})
}

// DeleteMOTD ends it (section 4.26).
func (a *Admin) DeleteMOTD(ctx context.Context) error { return a.tell(ctx, "delete-motd", notice{}) }

// SetWelcome sets the message for new accounts (section 4.27).
func (a *Admin) SetWelcome(ctx context.Context, text string) error {
	return a.tell(ctx, "set-welcome", notice{Text: text})
}

// DeleteWelcome ends it (section 4.28).
func (a *Admin) DeleteWelcome(ctx context.Context) error {
	return a.tell(ctx, "delete-welcome", notice{})
}

// Restart restarts the service (section 4.30), after a delay, of those that it offers the next longer one; people are told the text if it is not empty.
func (a *Admin) Restart(ctx context.Context, delay time.Duration, text string) error {
	return a.stop(ctx, "restart", delay, text)
}

// Shutdown ends the service (section 4.31). The rest is as with [Admin.Restart].
func (a *Admin) Shutdown(ctx context.Context, delay time.Duration, text string) error {
	return a.stop(ctx, "shutdown", delay, text)
}

func (a *Admin) stop(ctx context.Context, node string, delay time.Duration, text string) error {
	_, err := a.run(ctx, node, func(f *form.Form) (any, error) {
		return notice{Text: text, Delay: limitOf(f.Field("delay"), max(1, int(delay.Seconds())))}, nil
	})
	return err
}

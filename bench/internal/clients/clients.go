// Package clients drives every measured library through the same four steps:
// log in, send n messages, receive n messages, close.
// Each library is used the way its documentation shows, with its defaults.
package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// Account says where and as whom to log in.
type Account struct {
	Addr     string // host:port
	Domain   string
	User     string
	Password string
	Resource string
	CAFile   string // PEM file with the authority of the server's certificate
}

// JID returns the account's full address.
func (a Account) JID() string { return a.User + "@" + a.Domain + "/" + a.Resource }

// TLS returns a configuration that trusts the account's authority and no other.
func (a Account) TLS() (*tls.Config, error) {
	pool, err := a.pool()
	if err != nil {
		return nil, err
	}
	return &tls.Config{ServerName: a.Domain, RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}

// pools keeps what was read, as an application would: it is not a stream's.
var pools sync.Map

func (a Account) pool() (*x509.CertPool, error) {
	if pool, ok := pools.Load(a.CAFile); ok {
		return pool.(*x509.CertPool), nil
	}
	pem, err := os.ReadFile(a.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", a.CAFile)
	}
	pools.Store(a.CAFile, pool)
	return pool, nil
}

// Client is one logged-in session that has sent its presence.
type Client interface {
	// Send hands chat messages to the library, one call each, with the text and an origin-id that is the message's id,
	// and returns when the library has taken the last one.
	Send(ctx context.Context, to string, messages []Message) error
	// Close ends the session.
	Close() error
}

// Library is one measured library.
type Library struct {
	Name   string // for the command line
	Module string // what the report calls it
	Remark string // what a reader must know about how it was driven, may be empty
	// Managed says that it has stream management on, which needs a server that offers it.
	Managed bool
	// Login returns a session whose messages go to in.
	Login func(ctx context.Context, a Account, in *Inbox) (Client, error)
}

// All lists the Go libraries, this one first.
func All() []Library { return []Library{ours, mellium, gosrc, xmppo} }

// Others are measured where the comparison is not between libraries.
func Others() []Library { return []Library{Managed, Control, ManagedControl} }

// ByName finds a library of All or Others.
func ByName(name string) (Library, error) {
	for _, l := range append(All(), Others()...) {
		if l.Name == name {
			return l, nil
		}
	}
	return Library{}, fmt.Errorf("no library named %q", name)
}

// Inbox counts the messages of one run. A nil Inbox counts nothing.
type Inbox struct {
	tag  string
	left atomic.Int64
	full chan struct{}
}

// NewInbox makes an inbox that is full after n messages whose bodies begin with tag.
func NewInbox(tag string, n int) *Inbox {
	in := &Inbox{tag: tag, full: make(chan struct{})}
	in.left.Store(int64(n))
	return in
}

// Full is closed when all messages have come.
func (in *Inbox) Full() <-chan struct{} { return in.full }

// Left says how many messages are missing.
func (in *Inbox) Left() int64 { return in.left.Load() }

func (in *Inbox) add(body string) {
	if in != nil && len(body) >= len(in.tag) && body[:len(in.tag)] == in.tag {
		in.addMany(1)
	}
}

func (in *Inbox) addMany(n int) {
	if n > 0 && in.left.Add(int64(-n)) == 0 {
		close(in.full)
	}
}

// Message is what is the same for every library: the texts are made before the clock starts.
type Message struct{ ID, Body string }

// Messages makes n messages; body makes the text of each.
func Messages(n int, body func(int) string) []Message {
	list := make([]Message, n)
	for i := range list {
		list[i] = Message{ID: fmt.Sprintf("m%07d", i), Body: body(i)}
	}
	return list
}

const nsOriginID = "urn:xmpp:sid:0"

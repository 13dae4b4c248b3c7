package integration

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// AddAccount makes the account, or gives it that password if it is there.
// Prosody's CertHost takes every certificate without an account: there it does nothing. The domain Anon has no accounts.
func (s *Server) AddAccount(t testing.TB, user, domain, password string) {
	t.Helper()
	if err := s.CreateAccount(user, domain, password); err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
}

// CreateAccount is AddAccount for programs that are not tests.
func (s *Server) CreateAccount(user, domain, password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := account{user, domain}
	if err := s.register(a, password); err != nil {
		return fmt.Errorf("%s: account %s@%s: %w", s.Kind, user, domain, err)
	}
	s.accounts[a] = password
	return nil
}

var lastAccount atomic.Uint64

// NewAccount makes an account at Full that no other test uses. The address has no resource.
func (s *Server) NewAccount(t testing.TB) (address, password string) {
	t.Helper()
	return s.NewAccountAt(t, Full)
}

// NewAccountAt is NewAccount at another domain.
func (s *Server) NewAccountAt(t testing.TB, domain string) (address, password string) {
	t.Helper()
	n := lastAccount.Add(1)
	user, password := fmt.Sprintf("user%d", n), fmt.Sprintf("secret-%d", n)
	s.AddAccount(t, user, domain, password)
	return user + "@" + domain, password
}

// Admin makes the account of the administrator of Full, Lean and Invited at that domain.
func (s *Server) Admin(t testing.TB, domain string) (address, password string) {
	t.Helper()
	s.AddAccount(t, "admin", domain, "admin-secret")
	return "admin@" + domain, "admin-secret"
}

// register tells the server. It is called with s.mu held.
func (s *Server) register(a account, password string) error {
	if s.proc == nil {
		return errors.New("the server is not running")
	}
	if !s.Kind.IsProsody() {
		return s.registerEjabberd(a, password)
	}
	if a.domain == CertHost {
		return nil
	}
	address := a.user + "@" + a.domain
	err := s.prosodyShell(fmt.Sprintf("user:create(%q, %q)", address, password))
	if err != nil && strings.Contains(err.Error(), "exists") {
		err = s.prosodyShell(fmt.Sprintf("user:password(%q, %q)", address, password))
	}
	return err
}

// registerEjabberd uses the HTTP API, which asks no password from loopback.
func (s *Server) registerEjabberd(a account, password string) error {
	status, err := s.ejabberdAPI("register", map[string]any{"user": a.user, "host": a.domain, "password": password})
	if status == http.StatusConflict {
		_, err = s.ejabberdAPI("change_password", map[string]any{"user": a.user, "host": a.domain, "newpass": password})
	}
	return err
}

// restoreAccounts makes those accounts again that a kill has taken from ejabberd, whose database reaches the disk a little late.
func (s *Server) restoreAccounts() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, password := range s.accounts {
		status, err := s.ejabberdAPI("register", map[string]any{"user": a.user, "host": a.domain, "password": password})
		if err != nil && status != http.StatusConflict {
			return err
		}
	}
	return nil
}

// apiClient keeps no connection, and so no goroutine, between calls.
var apiClient = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true},
	Timeout:   10 * time.Second,
}

func (s *Server) ejabberdAPI(command string, args map[string]any) (status int, err error) {
	body, err := json.Marshal(args)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+s.Addr(HTTP)+"/api/"+command, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Host = Full
	req.Header.Set("Content-Type", "application/json")
	res, err := apiClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", command, res.Status, answer)
	}
	return res.StatusCode, err
}

// prosodyShell runs one line in the server's own shell, as "prosodyctl shell" does, over the socket that mod_admin_socket listens on.
func (s *Server) prosodyShell(line string) error {
	c, err := net.DialTimeout("unix", filepath.Join(s.dir, adminSocket), 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	var in bytes.Buffer
	in.WriteString("<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='xmpp:prosody.im/admin' version='1.0'><repl-input>")
	xml.EscapeText(&in, []byte(line))
	in.WriteString("</repl-input>")
	if _, err := c.Write(in.Bytes()); err != nil {
		return err
	}
	dec := xml.NewDecoder(c)
	for {
		tok, err := dec.Token()
		if err != nil {
			return fmt.Errorf("admin shell: %w", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "repl-result" {
			continue
		}
		var result struct {
			Type string `xml:"type,attr"`
			Text string `xml:",chardata"`
		}
		if err := dec.DecodeElement(&result, &start); err != nil {
			return err
		}
		if result.Type == "error" {
			return fmt.Errorf("admin shell: %s", strings.TrimSpace(result.Text))
		}
		return nil
	}
}

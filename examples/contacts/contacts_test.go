package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/examples/internal/account"
)

// TestContacts: what the program shows of what the others do, and of what is typed.
func TestContacts(t *testing.T) {
	pace = 50 * time.Millisecond
	var out bytes.Buffer
	typed := "rename nurse@example.test Angelica\nnonsense\nadd not@@valid\n"
	if err := run(t.Context(), new(account.Flags), strings.NewReader(typed), &out); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	rest := out.String()
	for _, want := range []string{"! logged in as juliet@", "OFFLINE", "romeo@example.test asks to see when you are here", "> accept", "avatar ", "chat \"But, soft!",
		"! the connection is lost", "! the connection is back, and nothing was missed", "away \"hiding", "> list", "AWAY", "Romeo"} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q in\n%s", want, rest)
		}
		rest = after
	}
	for _, want := range []string{"Angelica", "rename JID NAME", "! add: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestQuit: what is typed ends the program, whatever the others do.
func TestQuit(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), new(account.Flags), strings.NewReader("quit\nlist\n"), &out); err != nil || strings.Contains(out.String(), "AVAILABLE\n") {
		t.Errorf("%v\n%s", err, &out)
	}
}

package lean

import (
	"strings"
	"testing"
)

func TestExchangeRefusesWrongProof(t *testing.T) {
	exchange, err := Exchanges()
	if err != nil {
		t.Fatal(err)
	}
	x := exchange()
	first, err := x.First("n,,n=romeo,r=abc")
	if err != nil {
		t.Fatal(err)
	}
	nonce, _, _ := strings.Cut(first, ",")
	for name, final := range map[string]string{
		"wrong proof":   "c=biws," + nonce + ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"short proof":   "c=biws," + nonce + ",p=AAAA",
		"wrong nonce":   "c=biws,r=abc,p=AAAA",
		"wrong binding": "c=eSws," + nonce + ",p=AAAA",
		"no proof":      "c=biws," + nonce,
	} {
		if got, err := x.Final(final); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestMessages(t *testing.T) {
	got := string(Messages("romeo@bench.test/r", 3, "tag"))
	if n := strings.Count(got, "</message>"); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
	if body := Body("tag", 2); !strings.Contains(got, "<body>"+body+"</body>") || len(body) < 90 || len(body) > 115 {
		t.Errorf("no message with the body %q of %d bytes", body, len(body))
	}
}

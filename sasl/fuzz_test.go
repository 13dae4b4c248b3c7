package sasl

import (
	"crypto/pbkdf2"
	"encoding/base64"
	"strings"
	"testing"
)

// FuzzSCRAM plays a server that does not know the password.
// Each line of the input is a message: it begins with "c" for a challenge or "s" for success, and the rest is the data.
// "$N" in it stands for the client's nonce, which such a server has seen.
// "$V" stands for the right signature, so that the way to success is reached too;
// the oracle computes that signature by itself from what was said, and nothing else may make a login.
func FuzzSCRAM(f *testing.F) {
	const first = "cr=$Nserver,s=c2FsdA==,i=4096"
	for _, seed := range []string{
		first + "\nsv=$V", first + "\ncv=$V\ns", first + "\ncv=$V\nsv=$V", first + "\ncv=$V\ncv=$V",
		first + "\ns", first + "\nsv=AAAA", "s", "sv=AAAA", "sv=$V", first + "\ns" + first[1:], first + "\nse=other-error",
		first + "\n" + first, first + "\nsv=$V,x=1", first + "\nsx=1,v=$V", first + ",x=1\nsv=$V", "cm=1," + first[1:] + "\nsv=$V",
		"cr=$N,s=c2FsdA==,i=4096\nsv=$V", "cr=server$N,s=c2FsdA==,i=4096\nsv=$V", "cr=$Nx,s=c2FsdA==,i=1\nsv=$V",
		"cr=$Nx,s=c2FsdA==,i=5000\nsv=$V", "ce=other-error\nsv=$V", "c\ns", "\n\n", first + ",h=AAAA\nsv=$V",
	} {
		for mech := range byte(6) {
			f.Add(mech, seed)
		}
	}
	// The same in each run and worker, because the fuzzer repeats what it finds interesting; it never sees the password.
	const password = "0b6c5f1f2a8e4d3c"
	const entropy = "eighteen bytes ...."
	mechs := scramMechanisms()

	f.Fuzz(func(t *testing.T, mech byte, script string) {
		m := mechs[int(mech)%len(mechs)]
		p := params("user", password)
		p.MaxIterations = 5000
		p.Rand = strings.NewReader(entropy)
		p.Offer = &Offer{Mechanisms: []string{m.Name}}
		c := newClient(t, m, p)
		clientFirst := string(start(t, c))
		bare := clientFirst[strings.Index(clientFirst, ",n=")+1:]
		nonce := clientFirst[strings.Index(clientFirst, ",r=")+3:]

		var serverFirst, clientFinal, lastChallenge, signature string
		failed := false
		for i, line := range strings.Split(script, "\n") {
			if i == 10 || line == "" {
				break
			}
			data := []byte(strings.ReplaceAll(strings.ReplaceAll(line[1:], "$N", nonce), "$V", signature))
			if line[0] != 's' {
				response, err := c.Next(t.Context(), data)
				if (response == nil) != (err != nil) {
					t.Fatalf("response %q with error %v", response, err)
				}
				if strings.Contains(string(response), password) {
					t.Fatal("password in a response")
				}
				if err == nil && failed {
					t.Fatal("a challenge was answered after a failure")
				}
				failed = failed || err != nil
				if clientFinal == "" && err == nil {
					serverFirst, clientFinal = string(data), string(response)
					signature = rightSignature(t, m.Name, password, bare, serverFirst, clientFinal)
				} else {
					lastChallenge = string(data)
				}
				continue
			}
			err := c.Success(t.Context(), data)
			if err != nil {
				failed = true
				continue
			}
			if failed {
				t.Fatal("authenticated after a failure")
			}
			proof := string(data)
			if proof == "" {
				proof = lastChallenge
			}
			v, _, _ := strings.Cut(proof, ",")
			if signature == "" || v != "v="+signature {
				t.Fatalf("authenticated with %q, right is %q", proof, signature)
			}
			if err := c.Success(t.Context(), data); err == nil {
				t.Fatal("authenticated twice")
			}
			return
		}
	})
}

// rightSignature computes what a server with the password would send.
func rightSignature(t *testing.T, mech, password, bare, serverFirst, clientFinal string) string {
	h := hashes[strings.TrimSuffix(mech, "-PLUS")]
	parts := strings.Split(serverFirst, ",")
	salt, err := base64.StdEncoding.DecodeString(parts[1][2:])
	if err != nil || len(salt) == 0 {
		t.Fatalf("answered a salt %q", parts[1])
	}
	iterations := 0
	for _, d := range parts[2][2:] {
		iterations = iterations*10 + int(d-'0')
	}
	if iterations < 4096 || iterations > 5000 {
		t.Fatalf("answered %s", parts[2])
	}
	salted, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		t.Fatal(err)
	}
	without := clientFinal[:strings.LastIndex(clientFinal, ",p=")]
	return b64(hmacOf(h, hmacOf(h, salted, "Server Key"), bare+","+serverFirst+","+without))
}

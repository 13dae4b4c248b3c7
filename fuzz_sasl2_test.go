package xmpp_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// Bits of what a script of FuzzSASL2 is played to.
const (
	fuzzToken   = 1 << iota // the client has a token
	fuzzUpgrade             // the login is bound to the connection, and an upgrade is offered
	fuzzBind                // Bind 2
)

// FuzzSASL2 plays a server that says anything at all to a login by SASL2. Parts of the script are separated by newlines; each is sent when
// the client has said something, or has been silent for a while. In a part, $N stands for the client's nonce, $V for the right signature, $T for the
// right answer to a token, which an oracle computes from what was said, and $I for the id of a request; {…} is in base64.
// Without the one or the other nobody may be logged in, and neither the password nor what is made of it, nor the token, may have been sent.
func FuzzSASL2(f *testing.F) {
	const (
		x         = "xmlns='" + nsSASL2 + "'"
		first     = "<challenge " + x + ">{r=$NS,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096}</challenge>\n"
		authzid   = "<authorization-identifier>alice@example.test</authorization-identifier>"
		after     = "<stream:features>" + offerBind + "</stream:features>\n<iq type='result' id='$I'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@example.test/r</jid></bind></iq>"
		proved    = "<success " + x + "><additional-data>{$V}</additional-data>" + authzid + "</success>"
		token     = "<success " + x + "><additional-data>{$T}</additional-data>" + authzid + "<token xmlns='" + nsFAST + "' token='next' expiry='2999-01-01T00:00:00Z'/></success>"
		refused   = "<failure " + x + "><not-authorized xmlns='" + nsSASL + "'/></failure>\n"
		goOn      = "<continue " + x + "><additional-data>{$V}</additional-data><tasks><task>" + task512 + "</task></tasks></continue>\n"
		wrongOn   = "<continue " + x + "><additional-data>{v=AAAA}</additional-data><tasks><task>" + task512 + "</task></tasks></continue>\n"
		salt      = "<task-data " + x + "><salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'>MDEyMzQ1Njc4OWFiY2RlZg==</salt></task-data>\n"
		empty     = "<success " + x + ">" + authzid + "</success>"
		boundData = "<success " + x + "><additional-data>{$V}</additional-data><authorization-identifier>alice@example.test/r</authorization-identifier><bound xmlns='" + nsBind2 + "'/></success>"
	)
	for _, seed := range []struct {
		mode   byte
		script string
		ok     bool
	}{
		{0, first + proved + after, true},
		{fuzzToken, token + after, true},
		{fuzzToken, refused + first + proved + after, true},
		{fuzzUpgrade, first + goOn + salt + empty + after, true},
		{fuzzBind, first + boundData + "<stream:features/>", true},
		{fuzzBind | fuzzToken, refused + first + boundData + "<stream:features/>", true},
		{0, first + "<challenge " + x + ">{$V}</challenge>\n" + empty + after, true},
		{0, proved + after, false},
		{0, empty + after, false},
		{0, first + empty + after, false},
		{0, first + strings.Replace(proved, "$V", "v=AAAA", 1) + after, false},
		{fuzzToken, strings.Replace(token, "$T", "AAAA", 1) + after, false},
		{fuzzToken, refused + token + after, false},
		{fuzzToken, empty + after, false},
		{fuzzUpgrade, first + wrongOn + salt + empty + after, false},
		{fuzzUpgrade, wrongOn + salt + empty + after, false},
		{fuzzUpgrade, first + salt + proved + after, false},
		{fuzzUpgrade, first + goOn + strings.Replace(salt, "4096", "1", 1) + empty + after, false},
		{fuzzUpgrade | fuzzToken, refused + refused + first + goOn + goOn, false},
		{0, strings.Replace(first, "4096", "1", 1) + proved + after, false},
		{0, "<failure " + x + "><mechanism-too-weak xmlns='" + nsSASL + "'/></failure>\n" + first + proved + after, false},
		{fuzzToken | fuzzUpgrade | fuzzBind, "<stream:error/>\n</stream:stream>", false},
	} {
		patience := 10 * time.Millisecond
		if seed.ok { // each part answers something, however slow the machine is
			patience = 4 * time.Second
		}
		got := fuzzLogin(f, patience, seed.mode, seed.script)
		if got != seed.ok {
			f.Errorf("mode %d: logged in: %t, want %t: %s", seed.mode, got, seed.ok, seed.script)
		}
		f.Add(seed.mode, seed.script)
	}
	f.Fuzz(func(t *testing.T, mode byte, script string) {
		if len(script) < 16<<10 {
			fuzzLogin(t, 10*time.Millisecond, mode, script)
		}
	})
}

// fuzzLogin plays one script and reports whether the client is logged in. patience is how long its silence is waited for.
func fuzzLogin(t testing.TB, patience time.Duration, mode byte, script string) bool {
	client, raw := testserver.Pipe(0, "client", "server")
	o := &fuzzOracle{rawConn: &rawConn{Conn: raw, raw: raw, profile: xep0388}, mode: mode, patience: patience}
	var done sync.WaitGroup
	done.Go(func() {
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(time.Second + 4*patience))
		o.play(script)
	})
	store := new(logins)
	if mode&fuzzToken != 0 {
		store = withToken()
	}
	s, err := xmpp.New(xmpp.Config{
		JID: xmpp.MustParseJID("alice@" + rawDomain), Credentials: xmpp.Password(secret), Host: "server.invalid", DirectTLS: true,
		Dial:    func(context.Context, string, string) (net.Conn, error) { return client, nil },
		RootCAs: testserver.DefaultAuthority().Pool(), ConnectTimeout: 400*time.Millisecond + 4*patience, NoInitialPresence: true,
		Logins: store, Bind2: mode&fuzzBind != 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err = s.Login(context.Background())
	if took := time.Since(begin); took > 2*time.Second+4*patience {
		t.Errorf("Login took %v", took)
	}
	_ = s.Close(ended())
	done.Wait()
	if err == nil && !o.proved {
		t.Error("logged in without proof")
	}
	if o.leak != "" {
		t.Errorf("before the server had proved itself the client sent %q", o.leak)
	}
	return err == nil
}

// fuzzOracle is a server that looks at what the client says, and knows what would be right.
type fuzzOracle struct {
	*rawConn
	mode     byte
	patience time.Duration
	said     string // the last challenge
	proved   bool   // in the exchange under way something right was said
	leak     string
}

func (o *fuzzOracle) play(script string) {
	tc := tls.Server(o.raw, serverTLS())
	if tc.Handshake() != nil {
		return
	}
	o.Conn = tc
	mech, more, bindings := "SCRAM-SHA-256", "<fast xmlns='"+nsFAST+"'><mechanism>"+exprToken+"</mechanism></fast>", ""
	if o.mode&fuzzBind != 0 {
		more += "<bind xmlns='" + nsBind2 + "'/>"
	}
	more = "<inline>" + more + "</inline>"
	if o.mode&fuzzUpgrade != 0 {
		mech, bindings = "SCRAM-SHA-256-PLUS", offerBindings("tls-exporter")
		more += "<upgrade xmlns='" + nsUpgrade + "'>" + task512 + "</upgrade>"
	}
	parts := append([]string{header + features(offerSASL2(more, mech, "PLAIN"), bindings)}, strings.Split(script, "\n")...)
	for i, part := range parts {
		if i > 12 || o.listen() != nil {
			return
		}
		if _, err := io.WriteString(o, o.fill(part)); err != nil {
			return
		}
	}
	for range 3 { // what it has to say to the last
		if o.listen() != nil {
			return
		}
	}
}

// listen takes what the client says now.
func (o *fuzzOracle) listen() error {
	buf := make([]byte, 16<<10)
	_ = o.raw.SetReadDeadline(time.Now().Add(o.patience))
	n, err := o.Read(buf)
	if bytes.Contains(buf[:n], []byte("<authenticate ")) {
		o.proved, o.said = false, ""
	}
	o.seen = append(o.seen, buf[:n]...)
	if !o.proved {
		o.check(string(buf[:n]))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return err
}

// check looks for what may be said only to a server that has proved itself.
func (o *fuzzOracle) check(said string) {
	salted, _ := pbkdf2.Key(scramHashes["SCRAM-SHA-512"], secret, []byte("0123456789abcdef"), 4096, 64)
	short, _ := pbkdf2.Key(scramHashes["SCRAM-SHA-256"], secret, []byte("0123456789abcdef"), 4096, 32)
	texts := said
	for _, m := range regexp.MustCompile(`[A-Za-z0-9+/]{8,}={0,2}`).FindAllString(said, -1) {
		b, _ := base64.StdEncoding.DecodeString(m)
		texts += string(b)
	}
	for _, s := range []string{secret, oldToken, string(salted), string(short), "<hash", "<next", "<iq"} {
		if strings.Contains(texts, s) {
			o.leak = s
		}
	}
}

var (
	fuzzPart = regexp.MustCompile(`\{[^{}]*\}|\$[NVTI]`)
	fuzzName = regexp.MustCompile(`\$[NVTI]`)
)

// value notes that something was said which only the right server knows.
func (o *fuzzOracle) value(values map[string]string) func(string) string {
	return func(name string) string {
		o.proved = o.proved || values[name] != "" && (name == "$V" || name == "$T")
		return values[name]
	}
}

// fill writes the right values into a part.
func (o *fuzzOracle) fill(part string) string {
	xml := string(o.seen)
	if i := strings.LastIndex(xml, "<authenticate "); i >= 0 {
		xml = xml[i:]
	}
	mech, begun, final := "", payload(xml), ""
	if m := mechanismOf.FindStringSubmatch(xml); m != nil {
		mech = m[1]
	}
	if _, rest, ok := strings.Cut(xml, "<response "); ok {
		final = payload("<response " + rest)
	}
	_, nonce, _ := strings.Cut(begun, ",r=")
	values := map[string]string{"$N": nonce, "$V": rightSignature(mech, begun, o.said, final), "$T": "", "$I": ""}
	if mech == exprToken {
		values["$T"] = tokenProof(oldToken, "Responder", o.exporter())
	}
	if m := attrID.FindAllStringSubmatch(xml, -1); m != nil {
		values["$I"] = m[len(m)-1][1]
	}
	part = fuzzPart.ReplaceAllStringFunc(part, func(s string) string {
		if s[0] == '{' {
			return b64(fuzzName.ReplaceAllStringFunc(s[1:len(s)-1], o.value(values)))
		}
		return o.value(values)(s)
	})
	if m := regexp.MustCompile(`^<challenge[^>]*>([^<]*)</challenge>`).FindStringSubmatch(part); m != nil && final == "" {
		b, _ := base64.StdEncoding.DecodeString(m[1])
		o.said = string(b)
	}
	return part
}

// rightSignature is what a server with the password would send; "" before there is any.
func rightSignature(mech, begun, challenge, final string) string {
	h := scramHashes[strings.TrimSuffix(mech, "-PLUS")]
	i, parts := strings.LastIndex(final, ",p="), strings.Split(challenge, ",")
	bare := strings.SplitN(begun, ",", 3)
	if h == nil || i < 0 || len(parts) < 3 || len(bare) < 3 || len(parts[1]) < 2 || len(parts[2]) < 2 {
		return ""
	}
	salt, err := base64.StdEncoding.DecodeString(parts[1][2:])
	n, err2 := strconv.Atoi(parts[2][2:])
	if err != nil || err2 != nil || n < 1 || n > 8192 {
		return ""
	}
	salted, err := pbkdf2.Key(h, secret, salt, n, h().Size())
	if err != nil {
		return ""
	}
	mac := func(key []byte, text string) []byte {
		m := hmac.New(h, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	return "v=" + b64(string(mac(mac(salted, "Server Key"), bare[2]+","+challenge+","+final[:i])))
}

package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
)

// hostMetaServer answers for the two documents, and notes who was asked for what.
type hostMetaServer struct {
	xml, json http.HandlerFunc // nil: 404

	mu    sync.Mutex
	asked []string
}

func (s *hostMetaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Host+r.URL.Path+" "+r.Header.Get("Accept"))
	s.mu.Unlock()
	h := map[string]http.HandlerFunc{hostMetaXML: s.xml, hostMetaJSON: s.json}[r.URL.Path]
	if h == nil {
		h = http.NotFound
	}
	h(w, r)
}

func hostMetaBody(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}

// xrd and jrd are documents with links, given as pairs of relation and address.
func xrd(links ...string) string {
	s := "<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n"
	for i := 0; i < len(links); i += 2 {
		s += fmt.Sprintf("  <Link rel=%q href=%q/>\n", links[i], links[i+1])
	}
	return s + "</XRD>\n"
}

func jrd(links ...string) string {
	list := []map[string]string{}
	for i := 0; i < len(links); i += 2 {
		list = append(list, map[string]string{"rel": links[i], "href": links[i+1]})
	}
	b, _ := json.Marshal(map[string]any{"links": list})
	return string(b)
}

func TestLookUpHostMeta(t *testing.T) {
	const ws, bosh = "wss://web.example.test:443/ws?a=b", "https://web.example.test/bosh"
	both := HostMeta{WebSocket: []string{ws}, BOSH: []string{bosh}}
	tests := map[string]struct {
		xml, json string // empty: 404
		want      HostMeta
		asked     int
		fails     bool
	}{
		"XML":               {xrd(relBOSH, bosh, relWebSocket, ws, "author", "https://x/"), "", both, 1, false},
		"JSON":              {"", jrd(relBOSH, bosh, relWebSocket, ws, "author", "https://x/"), both, 2, false},
		"XML wins":          {xrd(relWebSocket, ws), jrd(relBOSH, bosh), HostMeta{WebSocket: []string{ws}}, 1, false},
		"XML without links": {xrd("lrdd", "https://x/"), jrd(relBOSH, bosh), HostMeta{BOSH: []string{bosh}}, 2, false},
		"XML is broken":     {"<XRD>", jrd(relBOSH, bosh), HostMeta{BOSH: []string{bosh}}, 2, false},
		"another root":      {strings.ReplaceAll(xrd(relBOSH, bosh), "XRD", "XRDS"), "", HostMeta{}, 2, true},
		"another namespace": {strings.ReplaceAll(xrd(relBOSH, bosh), "xrd-1.0", "xrd-2.0"), "", HostMeta{}, 2, true},
		"a link elsewhere":  {strings.ReplaceAll(xrd(relBOSH, bosh), "<Link", "<Link xmlns='urn:evil'"), "", HostMeta{}, 2, false},
		"attributes elsewhere": {strings.ReplaceAll(xrd(relBOSH, bosh), "<Link rel", "<Link xmlns:q='urn:evil' q:href='https://evil.test/' rel"), "",
			HostMeta{BOSH: []string{bosh}}, 1, false},
		"a subject and more": {"<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'><Subject>x</Subject><Link/><Link rel='" + relBOSH +
			"' href='" + bosh + "'><Title>y</Title></Link></XRD>", "", HostMeta{BOSH: []string{bosh}}, 1, false},
		"twice":           {xrd(relWebSocket, ws, relWebSocket, ws, relWebSocket, ws+"2"), "", HostMeta{WebSocket: []string{ws, ws + "2"}}, 1, false},
		"neither":         {"", "", HostMeta{}, 2, true},
		"neither is one":  {"hello", "hello", HostMeta{}, 2, true},
		"both have none":  {xrd(), jrd(), HostMeta{}, 2, false},
		"JSON null":       {"", "null", HostMeta{}, 2, false},
		"JSON with more":  {"", jrd(relBOSH, bosh) + "{}", HostMeta{}, 2, true},
		"JSON of a kind":  {"", `{"subject":"x","links":[{"rel":"` + relBOSH + `","href":"` + bosh + `","titles":{"en":"x"},"type":null}]}`, HostMeta{BOSH: []string{bosh}}, 2, false},
		"JSON of numbers": {"", `{"links":[{"rel":1}]}`, HostMeta{}, 2, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			s := new(hostMetaServer)
			if tt.xml != "" {
				s.xml = hostMetaBody(tt.xml)
			}
			if tt.json != "" {
				s.json = hostMetaBody(tt.json)
			}
			srv := newWebServer(t, s)
			web := srv.web(nil)
			web.Header = http.Header{"User-Agent": {"x"}}
			got, err := LookUpHostMeta(t.Context(), web, "example.test")
			if (err != nil) != tt.fails || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, error %v; want %v", got, err, tt.want)
			}
			want := []string{"example.test" + hostMetaXML + " application/xrd+xml", "example.test" + hostMetaJSON + " application/json"}[:tt.asked]
			if !slices.Equal(s.asked, want) {
				t.Errorf("asked %q, want %q", s.asked, want)
			}
		})
	}
}

func TestLookUpHostMetaDomain(t *testing.T) {
	unreachable := errors.New("unreachable")
	var dialled []string
	w := Web{Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
		dialled = append(dialled, addr)
		return nil, unreachable
	}}
	for domain, want := range map[string]string{
		"example.test": "example.test:443", "example.test.": "example.test:443", "192.0.2.1": "192.0.2.1:443", "2001:db8::1": "[2001:db8::1]:443",
		"": "", ".": "", "a/b": "", "a?b": "", "a#b": "", "user@a": "", "a:80": "", "[2001:db8::1]": "", "fe80::1%eth0": "", "a b": "", "a%2eb": "", `a\b`: "",
	} {
		dialled = nil
		_, err := LookUpHostMeta(t.Context(), w, domain)
		if got := strings.Join(slices.Compact(dialled), " "); got != want || errors.Is(err, unreachable) != (want != "") || err == nil {
			t.Errorf("%q: dialled %q, want %q; error %v", domain, got, want, err)
		}
	}
}

func TestLookUpHostMetaTime(t *testing.T) {
	testkit.Goroutines(t)
	srv := newWebServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "<XRD")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := LookUpHostMeta(ctx, srv.web(nil), "example.test")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestLocalHost(t *testing.T) {
	for host, want := range map[string]bool{
		"example.test": false, "192.0.2.1": false, "8.8.8.8": false, "2001:db8::1": false, "1.example": false, "0x.example": false, "": false,
		"localhost": true, "LocalHost.": true, "a.localhost": true, "127.0.0.1": true, "127.9.9.9": true, "0.0.0.0": true, "0.1.2.3": true,
		"10.0.0.1": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true, "100.64.0.1": true, "224.0.0.1": true, "255.255.255.255": true,
		"::": true, "::1": true, "[::1]": true, "fe80::1": true, "fe80::1%eth0": true, "2001:db8::1%eth0": true, "fc00::1": true, "fec0::1": true,
		"ff02::1": true, "::ffff:127.0.0.1": true, "::ffff:8.8.8.8": false, "64:ff9b::7f00:1": true,
		"2130706433": true, "0x7f.1": true, "127.1": true, "0x7f000001": true, "017700000001": true, "a.0X7F": true,
	} {
		if got := localHost(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}

// What a domain, or who speaks for it, may try with its documents.
func TestSec_TLS09_HostMeta(t *testing.T) {
	const good = "wss://web.example.test/ws"
	redirect := func(to ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			n := len(r.URL.Query()["n"])
			w.Header().Set("Location", strings.ReplaceAll(to[min(n, len(to)-1)], "$", strings.Repeat("&n=1", n+1)))
			w.WriteHeader(http.StatusFound)
		}
	}
	endless := func(start string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, start)
			for space := bytes.Repeat([]byte(" "), 32<<10); ; {
				if _, err := w.Write(space); err != nil {
					return
				}
			}
		}
	}
	doctype := func(dtd string) http.HandlerFunc {
		return hostMetaBody(strings.Replace(xrd(relWebSocket, good), "\n", dtd, 1))
	}
	link := func(rel, href string) http.HandlerFunc { return hostMetaBody(xrd(rel, href)) }
	tests := map[string]struct {
		xml   http.HandlerFunc
		is    error  // in the error; nil with a text: any error
		text  string // in the error; if there is neither, there are no links and no error
		other bool   // other.test may be asked
	}{
		"redirect to http":               {redirect("http://example.test" + hostMetaXML), errRedirectInsecure, "", false},
		"redirect to https, then http":   {redirect("https://other.test"+hostMetaXML+"?$", "http://other.test"+hostMetaXML), errRedirectInsecure, "", true},
		"redirect to a file":             {redirect("file:///etc/passwd"), errRedirectInsecure, "", false},
		"redirect in a circle":           {redirect("https://example.test" + hostMetaXML), errRedirectLoop, "", false},
		"redirect for ever":              {redirect(hostMetaXML + "?$"), errRedirects, "", false},
		"redirect to a link-local":       {redirect("https://169.254.169.254/latest/meta-data"), errRedirectLocal, "", false},
		"redirect to localhost":          {redirect("https://localhost:8443/"), errRedirectLocal, "", false},
		"redirect to a number":           {redirect("https://2130706433/"), errRedirectLocal, "", false},
		"1 GiB":                          {endless("<XRD xmlns='" + nsXRD + "'>"), errHostMetaSize, "", false},
		"1 GiB after the end":            {endless(xrd(relWebSocket, good)), errHostMetaSize, "", false},
		"64 KiB and one byte":            {hostMetaBody(xrd(relWebSocket, good) + strings.Repeat(" ", hostMetaBytes+1-len(xrd(relWebSocket, good)))), errHostMetaSize, "", false},
		"DOCTYPE":                        {doctype("<!DOCTYPE XRD>"), nil, "restricted-xml", false},
		"DOCTYPE with an entity":         {doctype("<!DOCTYPE XRD [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"), nil, "restricted-xml", false},
		"an entity":                      {hostMetaBody(strings.Replace(xrd(relWebSocket, good), "web", "&a;", 1)), nil, "restricted-xml", false},
		"processing instruction":         {doctype("<?xml-stylesheet href='x'?>"), nil, "restricted-xml", false},
		"two roots":                      {hostMetaBody(xrd(relWebSocket, good) + "<a/>"), nil, "after the root", false},
		"UTF-16":                         {hostMetaBody("\xFF\xFE<\x00X\x00"), nil, "unsupported-encoding", false},
		"deep":                           {hostMetaBody(strings.Repeat("<XRD xmlns='"+nsXRD+"'>", 500)), nil, "policy-violation", false},
		"500":                            {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, xrd(relWebSocket, good), 500) }, nil, "answered 500", false},
		"204":                            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil, "answered 204", false},
		"a compressed bomb":              {hostMetaBomb, nil, "not-well-formed", false},
		"ws":                             {link(relWebSocket, "ws://web.example.test/ws"), nil, "", false},
		"https as a WebSocket":           {link(relWebSocket, "https://web.example.test/ws"), nil, "", false},
		"http BOSH":                      {link(relBOSH, "http://web.example.test/bosh"), nil, "", false},
		"wss as BOSH":                    {link(relBOSH, "wss://web.example.test/bosh"), nil, "", false},
		"javascript":                     {link(relBOSH, "javascript:alert(1)"), nil, "", false},
		"relative":                       {link(relBOSH, "/bosh"), nil, "", false},
		"without a host":                 {link(relWebSocket, "wss:///ws"), nil, "", false},
		"with a user":                    {link(relWebSocket, "wss://user:password@web.example.test/ws"), nil, "", false},
		"with a fragment":                {link(relWebSocket, good+"#x"), nil, "", false},
		"with a line break":              {link(relWebSocket, "wss://web.example.test/ws&#10;x"), nil, "", false},
		"the metadata service":           {link(relWebSocket, "wss://169.254.169.254/"), nil, "", false},
		"the metadata service, IPv6":     {link(relWebSocket, "wss://[::ffff:169.254.169.254]/"), nil, "", false},
		"loopback":                       {link(relBOSH, "https://127.0.0.1:8443/"), nil, "", false},
		"localhost":                      {link(relBOSH, "https://localhost:8443/"), nil, "", false},
		"private":                        {link(relWebSocket, "wss://192.168.0.1/"), nil, "", false},
		"a number":                       {link(relWebSocket, "wss://0xa9fea9fe/"), nil, "", false},
		"relation in capitals":           {link(strings.ToUpper(relWebSocket), good), nil, "", false},
		"links that are not of the root": {hostMetaBody(strings.Replace(xrd(), "</XRD>", "<a>"+xrd(relWebSocket, good)[len("<?xml version='1.0' encoding='utf-8'?>"):]+"</a></XRD>", 1)), nil, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			s := &hostMetaServer{xml: tt.xml}
			srv := newWebServer(t, s)
			web := srv.web(nil)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			got, err := LookUpHostMeta(ctx, web, "example.test")
			switch {
			case len(got.WebSocket)+len(got.BOSH) > 0:
				t.Errorf("got %v", got)
			case (err != nil) != (tt.is != nil || tt.text != ""), tt.is != nil && !errors.Is(err, tt.is), err != nil && !strings.Contains(err.Error(), tt.text):
				t.Errorf("error %v, want %v %s", err, tt.is, tt.text)
			}
			for _, a := range s.asked {
				if !strings.HasPrefix(a, "example.test/") && !(tt.other && strings.HasPrefix(a, "other.test/")) {
					t.Errorf("%s was asked", a)
				}
			}
			if n := len(s.asked); n > 5 { // the document, three redirections, the JSON one
				t.Errorf("%d requests", n)
			}
		})
	}
}

// hostMetaBomb answers with 8 MiB in some KiB, whether or not that may be.
func hostMetaBomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_, _ = io.WriteString(z, strings.TrimSuffix(xrd(relWebSocket, "wss://web.example.test/"), "</XRD>\n"))
	space := make([]byte, 1<<20)
	for range 8 {
		if _, err := z.Write(space); err != nil {
			return
		}
	}
	_ = z.Close()
}

// A client of the application's own decompresses: the limit is on what comes out.
func TestSec_TLS09_Decompressed(t *testing.T) {
	testkit.Goroutines(t)
	srv := newWebServer(t, &hostMetaServer{xml: hostMetaBomb, json: hostMetaBomb})
	tr := srv.web(nil).roundTripper()
	tr.DisableCompression = false
	defer tr.CloseIdleConnections()
	_, err := LookUpHostMeta(t.Context(), Web{Client: &http.Client{Transport: tr}}, "example.test")
	if !errors.Is(err, errHostMetaSize) {
		t.Errorf("error %v, want %v", err, errHostMetaSize)
	}
}

// What is not allowed from elsewhere is where the domain is local itself, or where the application says so.
func TestSec_TLS09_LocalDomain(t *testing.T) {
	testkit.Goroutines(t)
	links := []string{relWebSocket, "wss://127.0.0.1/", relWebSocket, "ws://localhost/", relBOSH, "https://10.0.0.1/", relBOSH, "http://web.test/"}
	srv := newWebServer(t, &hostMetaServer{xml: hostMetaBody(xrd(links...))})
	local := HostMeta{WebSocket: []string{"wss://127.0.0.1/"}, BOSH: []string{"https://10.0.0.1/"}}
	all := HostMeta{WebSocket: []string{"wss://127.0.0.1/", "ws://localhost/"}, BOSH: []string{"https://10.0.0.1/", "http://web.test/"}}
	for _, tt := range []struct {
		domain   string
		insecure bool
		want     HostMeta
	}{
		{"example.test", false, HostMeta{}},
		{"localhost", false, local},
		{"example.test", true, all},
	} {
		web := srv.web(nil)
		web.Insecure = tt.insecure
		got, err := LookUpHostMeta(t.Context(), web, tt.domain)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s, Insecure %v: %v, error %v; want %v", tt.domain, tt.insecure, got, err, tt.want)
		}
	}
}

// No way from https back to http, whatever is allowed.
func TestSec_TLS09_Insecure(t *testing.T) {
	testkit.Goroutines(t)
	srv := newWebServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://example.test"+r.URL.Path, http.StatusFound)
	}))
	web := srv.web(nil)
	web.Insecure = true
	if _, err := LookUpHostMeta(t.Context(), web, "example.test"); !errors.Is(err, errRedirectInsecure) {
		t.Errorf("error %v", err)
	}
}

// The documents are believed of who has the certificate only.
func TestSec_TLS09_Certificate(t *testing.T) {
	testkit.Goroutines(t)
	srv := newWebServer(t, &hostMetaServer{xml: hostMetaBody(xrd(relWebSocket, "wss://web.test/"))})
	for _, domain := range []string{"elsewhere.test", "169.254.169.254"} {
		var name *NameError
		if got, err := LookUpHostMeta(t.Context(), srv.web(nil), domain); !errors.As(err, &name) || name.Domain != domain {
			t.Errorf("%s: %v, error %v", domain, got, err)
		}
	}
}

// FuzzHostMeta reads documents: no panic, and only links that may be used.
func FuzzHostMeta(f *testing.F) {
	f.Add([]byte(xrd(relBOSH, "https://a.test/", relWebSocket, "wss://b.test/ws")), "example.test")
	f.Add([]byte(jrd(relBOSH, "https://a.test/", relWebSocket, "wss://169.254.169.254/")), "example.test")
	f.Add([]byte(jrd(relBOSH, "https://a.test/", relWebSocket, "wss://169.254.nections")), "example.test")
	f.Add([]byte(jrd(relBOSH, "http://[::1]:80/", relWebSocket, "ws://2130706433/")), "localhost")
	f.Fuzz(func(t *testing.T, doc []byte, domain string) {
		for _, read := range []func([]byte) ([]hostMetaLink, error){readXRD, readJRD} {
			links, err := read(doc)
			if err != nil {
				continue
			}
			m := Web{}.usable(links, domain)
			for scheme, list := range map[string][]string{"wss://": m.WebSocket, "https://": m.BOSH} {
				if len(list) > hostMetaLinks || len(list) != len(slices.Compact(slices.Sorted(slices.Values(list)))) {
					t.Errorf("%d links", len(list))
				}
				for _, l := range list {
					u, err := url.Parse(l)
					if err != nil {
						t.Fatalf("kept %q: %v", l, err)
					}
					ip, err := netip.ParseAddr(u.Hostname()) // what begins like an address may be a name
					if !strings.HasPrefix(lowerASCII(l), scheme) || !localHost(domain) && err == nil && ip.IsLinkLocalUnicast() {
						t.Errorf("kept %q", l)
					}
				}
			}
		}
	})
}

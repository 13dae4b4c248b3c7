package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

const (
	hostMetaXML   = "/.well-known/host-meta"      // RFC 6415 section 2
	hostMetaJSON  = "/.well-known/host-meta.json" // RFC 6415 section 3
	hostMetaBytes = 64 << 10
	hostMetaLinks = 16 // of one relation; more are not kept

	nsXRD        = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
	relWebSocket = "urn:xmpp:alt-connections:websocket"
	relBOSH      = "urn:xmpp:alt-connections:xbosh"
)

var (
	errHostMetaDomain = errors.New("host-meta: that is no domain to ask")
	errHostMetaSize   = errors.New("the document is larger than 64 KiB")
	errHostMetaRoot   = errors.New("the document is no XRD")
)

// HostMeta is what a domain says of its ways in over HTTP (XEP-0156), in the order of the document, each address once.
type HostMeta struct {
	WebSocket []string // wss: addresses, for DialWebSocket
	BOSH      []string // https: addresses, for DialBOSH
}

// LookUpHostMeta asks a domain for its ways in over HTTP (XEP-0156 section 2.2). domain is the ASCII form, or an IP address without brackets.
//
// It fetches the XML document by https and, where that cannot be had or has no link that is of use, the JSON one;
// each may have 64 KiB, of decompressed bytes. Up to three redirections are followed, https only. The XML must be such as a stream may carry:
// without a DTD and without comments. What is trusted is the certificate of the domain. DNS is asked for addresses only:
// the TXT records that older versions of the XEP had are not read.
//
// Links are kept if they are wss: addresses for WebSocket and https: ones for BOSH, without a user and a fragment;
// if w.Insecure, ws: and http: ones as well. Links of other relations do not count.
// Neither a link nor a redirection may lead from elsewhere to a local address, unless w.Insecure:
// localhost, an IP address that is not of the public Internet (loopback, private, link-local such as 169.254.169.254, shared), or a host
// written as a number, which some resolvers take for one. A domain that is itself local may name such. Names that resolve to local addresses
// are not looked at: the certificate must be for the name.
//
// No links and no error mean that the domain has a document and names no way. Without a document the error joins what was wrong with each.
// ctx bounds it all, and nothing else bounds the time. w.Limits and w.Meter are not used.
func LookUpHostMeta(ctx context.Context, w Web, domain string) (HostMeta, error) {
	host := strings.TrimSuffix(domain, ".")
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil && addr.Zone() != "", err != nil && (host == "" || strings.ContainsAny(host, "/?#@\\:%[] ")):
		return HostMeta{}, errHostMetaDomain
	case err == nil && addr.Is6():
		host = "[" + host + "]"
	}
	client, done := w.httpClient(domain)
	defer done()
	var errs []error
	for _, form := range []struct {
		path   string
		accept string
		read   func([]byte) ([]hostMetaLink, error)
	}{
		{hostMetaXML, "application/xrd+xml", readXRD},
		{hostMetaJSON, "application/json", readJRD},
	} {
		links, err := w.fetchHostMeta(ctx, client, "https://"+host+form.path, form.accept, form.read)
		if ctx.Err() != nil {
			return HostMeta{}, fmt.Errorf("host-meta of %s: %w", webQuoted(domain), context.Cause(ctx))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("host-meta of %s: %s: %w", webQuoted(domain), form.accept, err))
			continue
		}
		if m := w.usable(links, domain); len(m.WebSocket)+len(m.BOSH) > 0 {
			return m, nil
		}
	}
	if len(errs) == 2 {
		return HostMeta{}, errors.Join(errs...)
	}
	return HostMeta{}, nil
}

// hostMetaLink is a link of either document. What else it may have does not matter.
type hostMetaLink struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

func (w Web) fetchHostMeta(ctx context.Context, client *http.Client, address, accept string, read func([]byte) ([]hostMetaLink, error)) ([]hostMetaLink, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errHostMetaDomain
	}
	for key, values := range w.Header {
		req.Header[key] = slices.Clone(values)
	}
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server has answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, hostMetaBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > hostMetaBytes:
		return nil, errHostMetaSize
	}
	return read(body)
}

// readXRD takes the links of an XML document (XRD 1.0 section 2).
func readXRD(b []byte) ([]hostMetaLink, error) {
	limits := xmlstream.DefaultLimits()
	limits.StanzaBytes = hostMetaBytes
	root, err := xmlstream.Parse(b, limits)
	switch {
	case err != nil:
		return nil, err
	case root.Tag != "XRD" || root.NamespaceURI() != nsXRD:
		return nil, errHostMetaRoot
	}
	var links []hostMetaLink
	for _, e := range root.ChildElements() {
		if e.Tag == "Link" && e.NamespaceURI() == nsXRD {
			links = append(links, hostMetaLink{Rel: plainAttr(e, "rel"), Href: plainAttr(e, "href")})
		}
	}
	return links, nil
}

// plainAttr is the value of an attribute in no namespace.
func plainAttr(e *etree.Element, key string) string {
	for _, a := range e.Attr {
		if a.Space == "" && a.Key == key {
			return a.Value
		}
	}
	return ""
}

// readJRD takes the links of a JSON document (RFC 6415 appendix A).
func readJRD(b []byte) ([]hostMetaLink, error) {
	var doc struct {
		Links []hostMetaLink `json:"links"`
	}
	err := json.Unmarshal(b, &doc)
	return doc.Links, err
}

// usable keeps what may be used of the links that a domain has given.
func (w Web) usable(links []hostMetaLink, domain string) (m HostMeta) {
	for _, l := range links {
		var list *[]string
		var secure, clear string
		switch l.Rel {
		case relWebSocket:
			list, secure, clear = &m.WebSocket, "wss", "ws"
		case relBOSH:
			list, secure, clear = &m.BOSH, "https", "http"
		default:
			continue
		}
		u, err := url.Parse(l.Href)
		if err != nil || u.Scheme != secure && (u.Scheme != clear || !w.Insecure) ||
			u.Hostname() == "" || u.User != nil || u.Fragment != "" || !w.mayLead(domain, u.Hostname()) {
			continue
		}
		if len(*list) < hostMetaLinks && !slices.Contains(*list, l.Href) {
			*list = append(*list, l.Href)
		}
	}
	return m
}

// mayLead reports whether a host, or a domain, may send us on to another host.
func (w Web) mayLead(from, to string) bool {
	return w.Insecure || !localHost(to) || localHost(from)
}

// Networks that are not public, beyond those that net/netip knows.
var localNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this network
	netip.MustParsePrefix("100.64.0.0/10"), // shared by the customers of a provider
	netip.MustParsePrefix("64:ff9b::/96"),  // IPv4 in IPv6
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("fec0::/10"), // site-local, of old
}

// localHost reports whether a host is, by what its name says alone, this machine or one nearby.
func localHost(host string) bool {
	host = lowerASCII(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		scoped := addr.Zone() != ""
		addr = addr.WithZone("").Unmap()
		return scoped || !addr.IsGlobalUnicast() || addr.IsPrivate() ||
			slices.ContainsFunc(localNetworks, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	label := host[strings.LastIndexByte(host, '.')+1:]
	if label == "localhost" {
		return true
	}
	digits := strings.TrimPrefix(label, "0x")
	return digits != label || digits != "" && strings.Trim(digits, "0123456789") == ""
}

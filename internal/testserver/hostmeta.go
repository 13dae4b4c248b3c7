package testserver

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

// The relations of XEP-0156.
const (
	relWebSocket = "urn:xmpp:alt-connections:websocket"
	relBOSH      = "urn:xmpp:alt-connections:xbosh"
)

// serveHostMeta is XEP-0156: the server's endpoints, on the host that was asked.
func (s *Server) serveHostMeta(w http.ResponseWriter, r *http.Request) {
	if s.opts.Web.NoHostMeta {
		http.NotFound(w, r)
		return
	}
	links := s.opts.Web.Links
	if links == nil {
		links = map[string]string{}
		secure := ""
		if r.TLS != nil {
			secure = "s"
		}
		if !s.opts.Web.NoWebSocket {
			links[relWebSocket] = "ws" + secure + "://" + r.Host + WebSocketPath
		}
		if !s.opts.Web.NoBOSH {
			links[relBOSH] = "http" + secure + "://" + r.Host + BOSHPath
		}
	}
	type link struct {
		Rel  string `json:"rel"`
		Href string `json:"href"`
	}
	list := []link{}
	for rel, href := range links {
		list = append(list, link{rel, href})
	}
	slices.SortFunc(list, func(a, b link) int { return strings.Compare(a.Rel, b.Rel) })
	if strings.HasSuffix(r.URL.Path, ".json") {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"links": list})
		return
	}
	w.Header().Set("Content-Type", "application/xrd+xml")
	xrd := "<?xml version='1.0' encoding='utf-8'?><XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>"
	for _, l := range list {
		xrd += "<Link rel='" + escape(l.Rel) + "' href='" + escape(l.Href) + "'/>"
	}
	io.WriteString(w, xrd+"</XRD>")
}

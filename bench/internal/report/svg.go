package report

import (
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/go-xmppframework/xmpp/bench/internal/flow"
)

// bar is one row of a panel; its second part, if any, follows the first.
type bar struct {
	label        string
	first, other float64
	text         string
	ours         bool
}

// panel is one group of bars on one scale.
type panel struct {
	title, note string
	bars        []bar
}

// Geometry, in pixels.
const (
	panelWidth, labelWidth, barWidth = 470, 150, 210
	barHeight, barGap, titleHeight   = 16, 7, 50
	margin                           = 20
)

// SVG writes the main figures as bars, two panels a row.
func (r *Results) SVG(w io.Writer) error {
	panels := r.panels()
	var b strings.Builder
	y := margin
	for i := 0; i < len(panels); i += 2 {
		height := 0
		for j := i; j < min(i+2, len(panels)); j++ {
			panels[j].draw(&b, margin+(j-i)*panelWidth, y)
			height = max(height, titleHeight+len(panels[j].bars)*(barHeight+barGap)+margin)
		}
		y += height
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, 2*panelWidth+margin, y, b.String())
	return err
}

func (r *Results) panels() []panel {
	var list []panel
	decode := panel{title: "Decode one stanza", note: "nanoseconds, shorter is better"}
	for _, f := range r.Decode {
		if f.NS > 500 { // the limit would only be a line
			decode.bars = append(decode.bars, bar{f.Name, f.NS, 0, thousands(f.NS), strings.HasPrefix(f.Name, "ours")})
		}
	}
	encode := panel{title: "Build and encode one message", note: "nanoseconds, shorter is better"}
	for _, f := range r.Encode {
		encode.bars = append(encode.bars, bar{f.Name, f.NS, 0, thousands(f.NS), strings.HasPrefix(f.Name, "ours")})
	}
	list = append(list, decode, encode)
	if t, ok := r.table("ejabberd"); ok {
		list = append(list, rates(t, "Messages a second through ejabberd"),
			processor(t, "Client CPU a message, ejabberd"))
	}
	if t, ok := r.table("sink"); ok {
		list = append(list, rates(t, "Messages a second into a sink"))
	}
	if t, ok := r.table("source"); ok {
		list = append(list, rates(t, "Messages a second from a source"))
	}
	kept := list[:0]
	for _, p := range list {
		if len(p.bars) > 0 {
			kept = append(kept, p)
		}
	}
	return kept
}

func rates(t flow.Table, title string) panel {
	p := panel{title: title, note: "longer is better"}
	for _, row := range t.Rows {
		if row.Rate > 0 && !isControl(row.Client) {
			p.bars = append(p.bars, bar{row.Client, row.Rate, 0, thousands(row.Rate), row.Client == "ours"})
		}
	}
	return p
}

func processor(t flow.Table, title string) panel {
	p := panel{title: title, note: "microseconds out (dark) and in (light), shorter is better"}
	for _, row := range t.Rows {
		if row.Rate > 0 && !isControl(row.Client) {
			p.bars = append(p.bars, bar{row.Client, row.Out, row.In, fmt.Sprintf("%.1f + %.1f", row.Out, row.In), row.Client == "ours"})
		}
	}
	return p
}

func (p panel) draw(b *strings.Builder, x, y int) {
	most := 0.0
	for _, v := range p.bars {
		most = max(most, v.first+v.other)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="15" font-weight="bold" fill="#222222">%s</text>`+"\n", x, y+16, html.EscapeString(p.title))
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#666666">%s</text>`+"\n", x, y+34, html.EscapeString(p.note))
	for i, v := range p.bars {
		top := y + titleHeight + i*(barHeight+barGap)
		dark, light, weight := "#8a94a6", "#c3c9d4", "normal"
		if v.ours {
			dark, light, weight = "#1b6ca8", "#7fb4d8", "bold"
		}
		first, other := v.first/most*barWidth, v.other/most*barWidth
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="#222222" font-weight="%s">%s</text>`+"\n",
			x+labelWidth-6, top+12, weight, html.EscapeString(v.label))
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x+labelWidth, top, max(first, 1), barHeight, dark)
		if v.other > 0 {
			fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n",
				float64(x+labelWidth)+first, top, other, barHeight, light)
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#222222" font-weight="%s">%s</text>`+"\n",
			float64(x+labelWidth)+first+other+6, top+12, weight, html.EscapeString(v.text))
	}
}

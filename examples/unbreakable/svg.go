package main

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"time"
)

// Geometry, in pixels: from top to bottom a title, a legend, the strip of the connection, two panels, the axis of time.
const (
	width, height           = 900, 540
	left, right             = 80, 880
	legendY                 = 78
	stripTop, stripBottom   = 100, 114
	countTop, countBottom   = 128, 360
	behindTop, behindBottom = 404, 486
	axisY                   = 504
)

// Colours.
const (
	colSent, colAcked, colReceived = "#222222", "#1b6ca8", "#f0b45c"
	colCut, colBack, colUp, colOut = "#c0392b", "#2e8b57", "#cfe8d8", "#fbe9e7"
	colText, colNote, colGrid      = "#222222", "#666666", "#e4e7ec"
)

// picture draws what was counted, over time.
func (s *score) picture() []byte {
	st := s.stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := plot{points: s.points, marks: s.marks}
	p.title = fmt.Sprintf("%s messages sent, %d lost", thousands(s.sent), s.sent-len(s.got))
	p.note = fmt.Sprintf("connection cut: %d · session resumed: %d · begun anew: %d",
		s.cuts+s.failed, st.Resumed, max(st.Sessions-1, 0))
	return p.draw()
}

// plot is a picture in the making.
type plot struct {
	title, note string
	points      []point
	marks       []mark

	b   strings.Builder
	end time.Duration
}

func (p *plot) draw() []byte {
	if len(p.points) == 0 {
		p.points = []point{{}}
	}
	last := p.points[len(p.points)-1]
	p.end = max(last.at, time.Second)
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`, width, height)
	p.add(`<title>%s</title>`, html.EscapeString(p.title))
	p.add(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	p.text(20, 30, "start", colText, `font-size="17" font-weight="bold"`, p.title)
	p.text(20, 50, "start", colNote, "", p.note)
	p.legend()
	p.connection()

	most := p.panel(countTop, countBottom, last.sent, 5)
	p.curve(countBottom, countTop, most, colReceived, 4, func(v point) int { return v.received })
	p.curve(countBottom, countTop, most, colSent, 1.3, func(v point) int { return v.sent })
	p.curve(countBottom, countTop, most, colAcked, 1.8, func(v point) int { return v.acked })

	behind := func(v point) int { return max(v.sent-v.acked, 0) }
	most = 0
	for _, v := range p.points {
		most = max(most, behind(v))
	}
	p.text(left, behindTop-12, "start", colText, "", "sent and not acknowledged: kept, to be sent again")
	most = p.panel(behindTop, behindBottom, most, 3)
	p.curve(behindBottom, behindTop, most, colAcked, 1.5, behind)
	p.time()
	p.add(`</svg>`)
	return []byte(p.b.String())
}

func (p *plot) add(format string, args ...any) {
	fmt.Fprintf(&p.b, format+"\n", args...)
}

func (p *plot) text(x, y float64, anchor, colour, more, s string) {
	p.add(`<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" %s>%s</text>`, x, y, anchor, colour, more, html.EscapeString(s))
}

func (p *plot) line(x1, y1, x2, y2 float64, colour string, thick float64) {
	p.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g"/>`, x1, y1, x2, y2, colour, thick)
}

func (p *plot) rect(x1, y1, x2, y2 float64, colour string) {
	p.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, x1, y1, max(x2-x1, 0), y2-y1, colour)
}

// x is where a time is.
func (p *plot) x(at time.Duration) float64 {
	return left + (right-left)*min(float64(at)/float64(p.end), 1)
}

func (p *plot) legend() {
	x := float64(left)
	for _, l := range []struct {
		name, colour string
		thick        float64
		tick         bool
		room         float64
	}{
		{"sent", colSent, 1.3, false, 76},
		{"acknowledged by the server", colAcked, 1.8, false, 208},
		{"received", colReceived, 4, false, 102},
		{"connection cut", colCut, 2, true, 122},
		{"back", colBack, 2, true, 62},
	} {
		if l.tick {
			p.line(x+8, legendY-11, x+8, legendY+3, l.colour, l.thick)
			p.text(x+16, legendY, "start", colText, "", l.name)
		} else {
			p.line(x, legendY-4, x+20, legendY-4, l.colour, l.thick)
			p.text(x+26, legendY, "start", colText, "", l.name)
		}
		x += l.room
	}
	p.rect(x, legendY-11, x+16, legendY+3, colOut)
	p.text(x+22, legendY, "start", colText, "", "no connection")
}

// connection draws when there was one, and shades the panels where there was none.
func (p *plot) connection() {
	p.text(left-8, stripBottom-3, "end", colNote, "", "connection")
	p.rect(left, stripTop, right, stripBottom, colUp)
	from, up := time.Duration(0), false
	gap := func(to time.Duration) {
		for _, y := range [][2]float64{{stripTop, stripBottom}, {countTop, countBottom}, {behindTop, behindBottom}} {
			p.rect(p.x(from), y[0], p.x(to), y[1], colOut)
		}
	}
	for _, m := range p.marks {
		if m.back && !up {
			gap(m.at)
		}
		from, up = m.at, m.back
	}
	if !up {
		gap(p.end)
	}
	for _, m := range p.marks {
		colour := colCut
		if m.back {
			colour = colBack
		}
		p.line(p.x(m.at), stripTop, p.x(m.at), stripBottom, colour, 1.5)
	}
}

// panel draws the scale of one from 0 to at least most, and returns how far it goes.
func (p *plot) panel(top, bottom float64, most, n int) int {
	every := max(int(step(float64(most), n)), 1)
	most = max((most+every-1)/every, 1) * every
	for v := 0; v <= most; v += every {
		y := bottom - (bottom-top)*float64(v)/float64(most)
		p.line(left, y, right, y, colGrid, 1)
		p.text(left-8, y+4, "end", colNote, "", thousands(v))
	}
	return most
}

// curve draws a counter, at most one point a pixel.
func (p *plot) curve(bottom, top float64, most int, colour string, thick float64, value func(point) int) {
	var at strings.Builder
	for i, drawn := 0, math.Inf(-1); i < len(p.points); i++ {
		v := p.points[i]
		if x := p.x(v.at); x-drawn >= 1 || i == len(p.points)-1 {
			fmt.Fprintf(&at, "%.1f,%.1f ", x, bottom-(bottom-top)*float64(value(v))/float64(most))
			drawn = x
		}
	}
	p.add(`<polyline points="%s" fill="none" stroke="%s" stroke-width="%g" stroke-linejoin="round"/>`, strings.TrimSpace(at.String()), colour, thick)
}

func (p *plot) time() {
	every := step(p.end.Seconds(), 10)
	for n := 0; float64(n)*every <= p.end.Seconds(); n++ {
		x := p.x(time.Duration(float64(n) * every * float64(time.Second)))
		p.line(x, behindBottom, x, behindBottom+4, colNote, 1)
		p.text(x, axisY, "middle", colNote, "", strconv.FormatFloat(float64(n)*every, 'g', 6, 64))
	}
	p.text((left+right)/2, axisY+20, "middle", colNote, "", "seconds")
}

// step is 1, 2 or 5 with some zeros, so that about n of them make most.
func step(most float64, n int) float64 {
	if most <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most/float64(n))))
	for _, f := range []float64{1, 2, 5} {
		if f*unit*float64(n) >= most*0.9 {
			return f * unit
		}
	}
	return 10 * unit
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

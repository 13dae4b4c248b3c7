package main

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// Geometry, in pixels.
const (
	width, height     = 860, 420
	left, right       = 60, 700
	plotTop, plotDown = 50, 380
)

var colours = []string{"#1b6ca8", "#c0392b", "#2e8b57", "#d98e04", "#6c4ab6", "#0e9aa7", "#8d6e63", "#c2185b", "#5d6d7e", "#7cb342", "#455a64", "#ef6c00"}

// svg is the plot as a picture: all sensors over time.
func (b *board) svg() []byte {
	var s strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	text := func(x, y float64, anchor, colour, t string) {
		add(`<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`, x, y, anchor, colour, html.EscapeString(t))
	}
	past, live, _ := b.counts()
	add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`, width, height)
	add(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	text(left, 28, "start", "#222222", fmt.Sprintf("%d readings of the past, %d as they were published · °C", past, live))
	series := b.sorted()
	var all []Reading
	for _, list := range series {
		all = append(all, list...)
	}
	if len(all) > 0 {
		from, to := all[0].At, all[0].At
		for _, r := range all {
			if r.At.Before(from) {
				from = r.At
			}
			if r.At.After(to) {
				to = r.At
			}
		}
		low, high := bounds(all)
		x := func(r Reading) float64 {
			return left + (right-left)*r.At.Sub(from).Seconds()/max(to.Sub(from).Seconds(), 0.001)
		}
		y := func(v float64) float64 { return plotDown - (plotDown-plotTop)*(v-low)/(high-low) }
		for i := range 5 {
			v := low + (high-low)*float64(i)/4
			add(`<line x1="%d" y1="%.1f" x2="%d" y2="%[2].1f" stroke="#e4e7ec"/>`, left, y(v), right)
			text(left-8, y(v)+4, "end", "#666666", fmt.Sprintf("%.1f", v))
		}
		text(left, plotDown+22, "start", "#666666", from.Local().Format(time.DateTime))
		text(right, plotDown+22, "end", "#666666", to.Local().Format(time.DateTime))
		for i, list := range series {
			var points strings.Builder
			for _, r := range list {
				fmt.Fprintf(&points, "%.1f,%.1f ", x(r), y(r.Celsius))
			}
			add(`<polyline points="%s" fill="none" stroke="%s" stroke-width="1.6"/>`, strings.TrimSpace(points.String()), colours[i])
			last := list[len(list)-1]
			text(right+12, plotTop+12+float64(18*i), "start", colours[i], fmt.Sprintf("%s %.2f", last.Sensor, last.Celsius))
		}
	}
	add(`</svg>`)
	return []byte(s.String())
}

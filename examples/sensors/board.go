package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-xmppframework/xmpp/modules/pubsub"
)

// What a board holds at most; whoever may publish decides how many sensors there are.
const maxSensors, maxReadings = 12, 400

// board holds the last readings, by sensors. The zero value is empty.
type board struct {
	mu              sync.Mutex // guards what follows
	series          map[string][]Reading
	past, live, bad int // what has come in
}

// add takes values in any order; what is there already does not count.
func (b *board) add(past bool, values ...pubsub.Value[Reading]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range values {
		r, list := v.Value, b.series[v.Value.Sensor]
		i, found := slices.BinarySearchFunc(list, r, func(a, b Reading) int { return a.At.Compare(b.At) })
		switch {
		case v.Err != nil || list == nil && len(b.series) == maxSensors:
			b.bad++
			continue
		case found:
			continue
		case past:
			b.past++
		default:
			b.live++
		}
		if b.series == nil {
			b.series = make(map[string][]Reading)
		}
		list = slices.Insert(list, i, r)
		b.series[r.Sensor] = list[max(0, len(list)-maxReadings):]
	}
}

func (b *board) counts() (past, live, bad int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.past, b.live, b.bad
}

// sorted returns a copy of everything, by the names of the sensors.
func (b *board) sorted() (out [][]Reading) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.series)) {
		out = append(out, slices.Clone(b.series[name]))
	}
	return out
}

// bounds are the lowest and the highest, at least a bit apart.
func bounds(list []Reading) (low, high float64) {
	by := func(a, b Reading) int { return cmp.Compare(a.Celsius, b.Celsius) }
	low, high = slices.MinFunc(list, by).Celsius, slices.MaxFunc(list, by).Celsius
	return low, max(high, low+0.1)
}

// The size of the plot of a sensor in the terminal.
const rows, columns = 3, 72

// text is the plot for a terminal: for each sensor its last readings, as bars.
func (b *board) text() (lines []string) {
	for _, list := range b.sorted() {
		last := list[max(0, len(list)-columns):]
		low, high := bounds(last)
		lines = append(lines, fmt.Sprintf("%s  %.2f °C  (%.2f to %.2f)", last[0].Sensor, last[len(last)-1].Celsius, low, high))
		for row := rows - 1; row >= 0; row-- {
			var line strings.Builder
			for _, r := range last {
				eighths := 1 + int((r.Celsius-low)/(high-low)*(rows*8-1)+0.5)
				line.WriteRune([]rune(" ▁▂▃▄▅▆▇█")[min(max(eighths-row*8, 0), 8)])
			}
			lines = append(lines, "  "+strings.TrimRight(line.String(), " "))
		}
	}
	return lines
}

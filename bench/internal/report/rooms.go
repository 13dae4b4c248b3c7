package report

import (
	"fmt"

	"github.com/go-xmppframework/xmpp/bench/internal/rooms"
)

func (p *page) rooms(list []rooms.Visit) {
	if len(list) == 0 {
		return
	}
	p.section("Entering a room, and seeing everybody leave", "The room tells of each occupant in a presence of its own, on the way in and on the way out, and a delegate hears of each. "+
		"The server is in the same process and makes the presence as text; that, and TLS on both sides, is in the figures.", "rooms")
	p.table("occupants", "MB of XML, coming", "ms to join", "ms until all have left", "ms of processor time for both", "µs a presence", "MiB that the room keeps", "events")
	for _, v := range list {
		p.row(number(float64(v.Occupants)), fmt.Sprintf("%.1f", float64(v.Bytes)/1e6), fmt.Sprintf("%.1f", v.Join), fmt.Sprintf("%.1f", v.Leave), fmt.Sprintf("%.1f", v.CPU),
			fmt.Sprintf("%.2f", each(v)), fmt.Sprintf("%.1f", float64(v.Heap)/(1<<20)), fmt.Sprint(v.Events))
	}
}

// each is the processor time of one presence, in microseconds.
func each(v rooms.Visit) float64 { return v.CPU * 1000 / float64(2*v.Occupants) }

func (r *Results) roomTargets() (list []Target) {
	visit := map[int]rooms.Visit{}
	for _, v := range r.Rooms {
		visit[v.Occupants] = v
	}
	small, ok := visit[1000]
	if !ok {
		return nil
	}
	const what = "enter a room of 1,000 occupants, who all leave"
	list = append(list, Target{what, "less than 200 ms of processor time", fmt.Sprintf("%.0f ms", small.CPU), small.CPU < 200},
		Target{what, "less than 8 MiB", fmt.Sprintf("%.1f MiB", float64(small.Heap)/(1<<20)), small.Heap < 8<<20})
	if large, ok := visit[10_000]; ok {
		ratio := each(large) / each(small)
		list = append(list, Target{"enter a room of 10,000 occupants, who all leave", "at most 1.5 × the processor time a presence of 1,000", fmt.Sprintf("%.2f ×", ratio), ratio <= 1.5})
	}
	return list
}

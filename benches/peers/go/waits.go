package main

import (
	"math"
	"time"
)

// The waits of one goroutine for a lock that others hold most of the time, as in
// src/groups/waits.rs.

const (
	hogs = 3
	away = 200 * time.Microsecond
)

// waits are the waits of one goroutine, and the acquisitions by others during each.
type waits struct{ nanos, turns []uint32 }

// add adds a wait, and sleeps for a while.
func (w *waits) add(took time.Duration, turns uint64) {
	w.nanos = append(w.nanos, nanos(took))
	w.turns = append(w.turns, uint32(min(turns, math.MaxUint32)))
	time.Sleep(away)
}

func (w *waits) reply() reply {
	return reply{Samples: [][2]any{{"wait", thin(w.nanos)}, {"turns", thin(w.turns)}}}
}

package main

import (
	"math"
	"time"
)

// What one goroutine waits for a lock that others hardly let go, as in
// src/groups/waits.rs.

const (
	hogs = 3
	away = 200 * time.Microsecond
)

// waits are those of one goroutine, and by how many turns of others each was passed.
type waits struct{ nanos, turns []uint32 }

// add adds a wait and stays away for a while, asleep.
func (w *waits) add(took time.Duration, turns uint64) {
	w.nanos = append(w.nanos, nanos(took))
	w.turns = append(w.turns, uint32(min(turns, math.MaxUint32)))
	time.Sleep(away)
}

func (w *waits) reply() reply {
	return reply{Samples: [][2]any{{"wait", thin(w.nanos)}, {"turns", thin(w.turns)}}}
}

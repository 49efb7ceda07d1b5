package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// Counters, mutexes and reader-writer locks.

type counterTask struct {
	Read    bool
	Threads int
}

func counters(r *request) reply {
	const batch = 64
	t := task[counterTask](r)
	var counter struct {
		_ [128]byte
		n atomic.Int64
		_ [120]byte
	}
	reader := t.Threads
	if t.Read {
		reader = t.Threads - 1
	}
	var expected, sink atomic.Int64
	got := run(t.Threads, r.span(), func(w *worker) {
		var sum int64
		for w.more() {
			if w.index == reader {
				for i := 0; i < batch; i++ {
					sum += counter.n.Load()
				}
			} else {
				for i := 0; i < batch; i++ {
					counter.n.Add(1)
				}
			}
			w.did(batch)
		}
		sink.Add(sum)
		if w.index != reader {
			expected.Add(int64(w.count))
		}
	})
	if counter.n.Load() != expected.Load() {
		return wrong("count %d, expected %d", counter.n.Load(), expected.Load())
	}
	if t.Read {
		return one(got.nsPerOpOf(reader, reader+1))
	}
	return one(got.nsPerOp())
}

type mutexTask struct {
	Inside, Outside uint64
	Threads         int
	Latency         bool
	BesideHogs      bool `json:"beside_hogs"`
}

func mutexes(r *request) reply {
	const batch, room = 16, 1 << 16
	const hogs, away, longer = 3, 50 * time.Microsecond, 6
	t := task[mutexTask](r)
	inside, outside := stepsFor(t.Inside), stepsFor(t.Outside)
	var lock struct {
		_ [128]byte
		sync.Mutex
		count uint64
		_     [112]byte
	}
	latencies := make([][]uint32, t.Threads)
	var expected atomic.Uint64
	span := r.span()
	if t.BesideHogs {
		span.window *= longer
	}
	got := run(t.Threads, span, func(w *worker) {
		var own []uint32
		if t.Latency {
			own = make([]uint32, 0, room)
		}
		for t.BesideHogs && w.more() {
			if w.index < hogs {
				lock.Lock()
				work(inside, lock.count)
				lock.count++
				lock.Unlock()
			} else {
				asked := time.Now()
				lock.Lock()
				own = append(own, uint32(time.Since(asked)))
				lock.count++
				lock.Unlock()
				for left := time.Now(); time.Since(left) < away; {
				}
			}
			w.did(1)
		}
		for w.more() {
			if t.Latency && len(own) < room {
				asked := time.Now()
				lock.Lock()
				held := time.Since(asked)
				work(inside, lock.count)
				lock.count++
				lock.Unlock()
				own = append(own, uint32(held))
				w.did(1)
			}
			for i := 0; i < batch; i++ {
				lock.Lock()
				work(inside, lock.count)
				lock.count++
				lock.Unlock()
				work(outside, 1)
			}
			w.did(batch)
		}
		latencies[w.index] = own
		expected.Add(w.count)
	})
	if lock.count != expected.Load() {
		return wrong("count %d, expected %d", lock.count, expected.Load())
	}
	if t.Latency {
		var all []uint32
		for _, own := range latencies {
			all = append(all, own...)
		}
		return reply{Latencies: thin(all)}
	}
	return one(got.nsPerOp())
}

type rwlockTask struct {
	Kind    string
	Reads   uint64
	Threads int
}

// guarded is the data under a reader-writer lock: four words, always equal.
type guarded struct {
	_ [128]byte
	sync.RWMutex
	data [4]uint64
	_    [96]byte
}

func (g *guarded) intact() bool {
	g.RLock()
	d := g.data
	g.RUnlock()
	return d[0] == d[1] && d[1] == d[2] && d[2] == d[3]
}

func (g *guarded) bump() {
	g.Lock()
	for i := range g.data {
		g.data[i]++
	}
	g.Unlock()
}

func rwlocks(r *request) reply {
	const batch, readers, period = 32, 3, 5 * time.Microsecond
	t := task[rwlockTask](r)
	var lock guarded
	var torn, writes atomic.Uint64
	var took []uint32
	got := run(t.Threads, r.span(), func(w *worker) {
		random := rng(w.index)
		var ownTorn, ownWrites uint64
		switch {
		case t.Kind == "mix":
			for w.more() {
				for i := 0; i < batch; i++ {
					if random.next()%1000 < t.Reads {
						if !lock.intact() {
							ownTorn++
						}
					} else {
						lock.bump()
						ownWrites++
					}
				}
				w.did(batch)
			}
		case w.index < readers:
			for w.more() {
				for i := 0; i < batch; i++ {
					if !lock.intact() {
						ownTorn++
					}
				}
				w.did(batch)
			}
		default:
			for w.more() {
				if t.Kind == "against" {
					lock.bump()
					ownWrites++
					w.did(1)
					continue
				}
				start := time.Now()
				lock.bump()
				took = append(took, uint32(time.Since(start)))
				ownWrites++
				w.did(1)
				for time.Since(start) < period {
				}
			}
		}
		torn.Add(ownTorn)
		writes.Add(ownWrites)
	})
	if torn.Load() != 0 || lock.data[0] != writes.Load() {
		return wrong("%d torn reads, %d writes, expected %d", torn.Load(), lock.data[0], writes.Load())
	}
	switch t.Kind {
	case "mix":
		return one(got.nsPerOp())
	case "against":
		return reply{Figures: [][2]any{
			{"read", got.nsPerOpOf(0, readers)}, {"write", got.nsPerOpOf(readers, readers+1)},
		}}
	case "beside_latency":
		return reply{Latencies: thin(took)}
	}
	total := 0.0
	for _, ns := range took {
		total += float64(ns)
	}
	write := total / float64(max(len(took), 1))
	return reply{Figures: [][2]any{{"read", got.nsPerOpOf(0, readers)}, {"write", write}}}
}

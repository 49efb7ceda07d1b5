package main

import (
	"sync"
	"sync/atomic"
	"time"
)

type rwlockTask struct {
	Kind    string
	Reads   uint64
	Threads int
	Inside  uint64
}

// guarded is the data under a reader-writer lock: four words, always equal.
type guarded struct {
	_ [128]byte
	sync.RWMutex
	data [4]uint64
	_    [96]byte
}

func (g *guarded) whole() bool {
	d := g.data
	return d[0] == d[1] && d[1] == d[2] && d[2] == d[3]
}

func (g *guarded) add() {
	for i := range g.data {
		g.data[i]++
	}
}

func (g *guarded) intact() bool {
	g.RLock()
	whole := g.whole()
	g.RUnlock()
	return whole
}

func (g *guarded) bump() {
	g.Lock()
	g.add()
	g.Unlock()
}

// tally sums up what all goroutines did.
type tally struct{ torn, writes atomic.Uint64 }

func (t *tally) verdict(lock *guarded) *reply {
	if t.torn.Load() != 0 || lock.data[0] != t.writes.Load() {
		failed := wrong("%d torn reads, %d writes, expected %d",
			t.torn.Load(), lock.data[0], t.writes.Load())
		return &failed
	}
	return nil
}

func rwlocks(r *request) reply {
	t := task[rwlockTask](r)
	switch t.Kind {
	case "mix":
		return mixed(r, t)
	case "read_beside_hogs", "write_beside_hogs":
		return rwlockBesideHogs(r, t)
	}
	return besideWriter(r, t)
}

func mixed(r *request, t rwlockTask) reply {
	const batch = 32
	var lock guarded
	var all tally
	got := run(t.Threads, r.span(), func(w *worker) {
		random := rng(w.index)
		var torn, writes uint64
		for w.more() {
			for i := 0; i < batch; i++ {
				if random.next()%1000 < t.Reads {
					if !lock.intact() {
						torn++
					}
				} else {
					lock.bump()
					writes++
				}
			}
			w.did(batch)
		}
		all.torn.Add(torn)
		all.writes.Add(writes)
	})
	if failed := all.verdict(&lock); failed != nil {
		return *failed
	}
	return one(got.nsPerOp())
}

const rwlockReaders = 3

func besideWriter(r *request, t rwlockTask) reply {
	var lock guarded
	var all tally
	var wrote []uint32
	took := make([][]uint32, rwlockReaders)
	timed := t.Kind == "beside_latency"
	span := r.span()
	if timed {
		span = r.longSpan()
	}
	got := run(t.Threads, span, func(w *worker) {
		if w.index < rwlockReaders {
			took[w.index] = readOn(&lock, w, &all, timed)
		} else {
			wrote = writeOn(&lock, w, t.Kind != "against")
			all.writes.Add(uint64(len(wrote)))
		}
	})
	if failed := all.verdict(&lock); failed != nil {
		return *failed
	}
	readers, writer := got.nsPerOpOf(0, rwlockReaders), got.nsPerOpOf(rwlockReaders, rwlockReaders+1)
	switch t.Kind {
	case "against":
		return reply{Figures: [][2]any{{"read", readers}, {"write", writer}}}
	case "beside_latency":
		var reads []uint32
		for _, own := range took {
			reads = append(reads, own...)
		}
		return reply{Samples: [][2]any{{"read", thin(reads)}, {"write", thin(wrote)}}}
	}
	total := 0.0
	for _, ns := range wrote {
		total += float64(ns)
	}
	write := total / float64(max(len(wrote), 1))
	return reply{Figures: [][2]any{{"read", readers}, {"write", write}}}
}

// readOn reads until told to stop, and returns the times of some reads.
func readOn(lock *guarded, w *worker, all *tally, timed bool) []uint32 {
	const batch, maxSamples, timedBatches = 32, 1 << 18, 8
	var own []uint32
	if timed {
		own = make([]uint32, 0, maxSamples)
	}
	var torn uint64
	for n := 0; w.more(); n++ {
		if timed && n%timedBatches == 0 && len(own) < maxSamples {
			start := time.Now()
			if !lock.intact() {
				torn++
			}
			own = append(own, nanos(time.Since(start)))
		}
		for i := 0; i < batch; i++ {
			if !lock.intact() {
				torn++
			}
		}
		w.did(batch)
	}
	all.torn.Add(torn)
	return own
}

// writeOn writes until told to stop, and returns the time of each write.
func writeOn(lock *guarded, w *worker, pauses bool) []uint32 {
	const period = 5 * time.Microsecond
	var own []uint32
	for w.more() {
		start := time.Now()
		lock.bump()
		own = append(own, nanos(time.Since(start)))
		w.did(1)
		for pauses && time.Since(start) < period {
		}
	}
	return own
}

func rwlockBesideHogs(r *request, t rwlockTask) reply {
	inside := stepsFor(t.Inside)
	reads := t.Kind == "read_beside_hogs"
	var lock guarded
	var turns padded
	var all tally
	var waits waits
	run(t.Threads, r.longSpan(), func(w *worker) {
		if w.index < hogs {
			rwlockHog(&lock, &turns, inside, w, &all)
			return
		}
		for w.more() {
			before := turns.n.Load()
			asked := time.Now()
			if reads {
				lock.RLock()
			} else {
				lock.Lock()
			}
			took := time.Since(asked)
			passed := turns.n.Add(1) - 1 - before
			if reads {
				if !lock.whole() {
					all.torn.Add(1)
				}
				lock.RUnlock()
			} else {
				lock.add()
				lock.Unlock()
				all.writes.Add(1)
			}
			waits.add(took, passed)
			w.did(1)
		}
	})
	if failed := all.verdict(&lock); failed != nil {
		return *failed
	}
	return waits.reply()
}

// rwlockHog writes in one of four operations, and reads otherwise.
func rwlockHog(lock *guarded, turns *padded, inside int, w *worker, all *tally) {
	random := rng(w.index)
	var torn, writes uint64
	for w.more() {
		if random.next()%4 == 0 {
			lock.Lock()
			turns.n.Add(1)
			lock.add()
			work(inside, lock.data[0])
			lock.Unlock()
			writes++
		} else {
			lock.RLock()
			turns.n.Add(1)
			work(inside, lock.data[0])
			if !lock.whole() {
				torn++
			}
			lock.RUnlock()
		}
		w.did(1)
	}
	all.torn.Add(torn)
	all.writes.Add(writes)
}

package main

import (
	"sync"
	"sync/atomic"
	"time"
)

type mutexTask struct {
	Kind            string
	Inside, Outside uint64
	Threads         int
}

// counted is a mutex around a number.
type counted struct {
	_ [128]byte
	sync.Mutex
	count uint64
	_     [112]byte
}

func mutexes(r *request) reply {
	t := task[mutexTask](r)
	if t.Kind == "beside_hogs" {
		return mutexBesideHogs(r, t)
	}
	const batch, maxSamples = 16, 1 << 16
	inside, outside := stepsFor(t.Inside), stepsFor(t.Outside)
	latency := t.Kind == "latency"
	var lock counted
	took := make([][]uint32, t.Threads)
	var expected atomic.Uint64
	got := run(t.Threads, r.span(), func(w *worker) {
		var own []uint32
		if latency {
			own = make([]uint32, 0, maxSamples)
		}
		for w.more() {
			if latency && len(own) < maxSamples {
				asked := time.Now()
				lock.Lock()
				held := time.Since(asked)
				work(inside, lock.count)
				lock.count++
				lock.Unlock()
				own = append(own, nanos(held))
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
		took[w.index] = own
		expected.Add(w.count)
	})
	if lock.count != expected.Load() {
		return wrong("count %d, expected %d", lock.count, expected.Load())
	}
	if latency {
		var all []uint32
		for _, own := range took {
			all = append(all, own...)
		}
		return latencies(thin(all))
	}
	return one(got.nsPerOp())
}

func mutexBesideHogs(r *request, t mutexTask) reply {
	inside := stepsFor(t.Inside)
	var lock counted
	var turns padded
	var waits waits
	var expected atomic.Uint64
	run(t.Threads, r.longSpan(), func(w *worker) {
		for w.more() {
			if w.index < hogs {
				lock.Lock()
				lock.count++
				turns.n.Store(lock.count)
				work(inside, lock.count)
				lock.Unlock()
			} else {
				before := turns.n.Load()
				asked := time.Now()
				lock.Lock()
				took := time.Since(asked)
				passed := lock.count - before
				lock.count++
				turns.n.Store(lock.count)
				lock.Unlock()
				waits.add(took, passed)
			}
			w.did(1)
		}
		expected.Add(w.count)
	})
	if lock.count != expected.Load() {
		return wrong("count %d, expected %d", lock.count, expected.Load())
	}
	return waits.reply()
}

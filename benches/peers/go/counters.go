package main

import (
	"sync/atomic"
)

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

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A throughput window: progress is read twice while every goroutine is at work.
// The same procedure as in src/window.rs.

type span struct{ warm, window time.Duration }

// padded is a counter in a cache line of its own.
type padded struct {
	n atomic.Uint64
	_ [120]byte
}

type worker struct {
	index int
	count uint64
	done  *padded
	stop  *atomic.Bool
}

func (w *worker) more() bool { return !w.stop.Load() }

func (w *worker) did(n uint64) {
	w.count += n
	w.done.n.Store(w.count)
}

type rate struct {
	ops   []uint64
	nanos float64
}

func (r rate) nsPerOp() float64 { return r.nsPerOpOf(0, len(r.ops)) }

func (r rate) nsPerOpOf(from, to int) float64 {
	var ops uint64
	for _, n := range r.ops[from:to] {
		ops += n
	}
	return r.nanos / float64(max(ops, 1))
}

// run runs body on a number of goroutines; body returns when it is told to stop.
func run(threads int, s span, body func(*worker)) rate {
	lines := make([]padded, threads)
	var stop, start atomic.Bool
	var ready atomic.Int64
	var ended sync.WaitGroup
	for i := range lines {
		ended.Add(1)
		go func() {
			defer ended.Done()
			w := &worker{index: i, done: &lines[i], stop: &stop}
			ready.Add(1)
			for !start.Load() {
				runtime.Gosched()
			}
			body(w)
		}()
	}
	for ready.Load() < int64(threads) {
		runtime.Gosched()
	}
	start.Store(true)
	read := func() []uint64 {
		now := make([]uint64, threads)
		for i := range lines {
			now[i] = lines[i].n.Load()
		}
		return now
	}
	everyone := func() bool {
		for _, n := range read() {
			if n == 0 {
				return false
			}
		}
		return true
	}
	for patience := time.Now(); !everyone() && time.Since(patience) < time.Second; {
		time.Sleep(50 * time.Microsecond)
	}
	time.Sleep(s.warm)
	opened, before := time.Now(), read()
	time.Sleep(s.window)
	closed, after := time.Now(), read()
	stop.Store(true)
	ended.Wait()
	for i := range after {
		after[i] -= before[i]
	}
	return rate{after, float64(closed.Sub(opened))}
}

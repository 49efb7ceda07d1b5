package main

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type waitGroupTask struct {
	Kind    string
	Threads int
}

func waitGroups(r *request) reply {
	const batch = 32
	t := task[waitGroupTask](r)
	switch t.Kind {
	case "burst":
		return bursts(time.Duration(r.BudgetNs))
	case "arrived":
		return handoffs(r.Samples, time.Microsecond)
	case "parked":
		return handoffs(r.Samples, 100*time.Microsecond)
	}
	var group struct {
		_ [128]byte
		sync.WaitGroup
		_ [112]byte
	}
	got := run(t.Threads, r.span(), func(w *worker) {
		for w.more() {
			for i := 0; i < batch; i++ {
				group.Add(1)
				group.Done()
			}
			w.did(batch)
		}
	})
	group.Wait()
	return one(got.nsPerOp())
}

const (
	doers = 4
	each  = 10_000
)

func bursts(budget time.Duration) reply {
	began := time.Now()
	var took []float64
	burst()
	for len(took) == 0 || time.Since(began) < budget {
		elapsed, seen := burst()
		if seen != doers {
			return wrong("wait returned after %d of %d doers", seen, doers)
		}
		took = append(took, float64(elapsed)/(doers*each))
	}
	slices.Sort(took)
	return one((took[(len(took)-1)/2] + took[len(took)/2]) / 2)
}

func burst() (time.Duration, int64) {
	var group sync.WaitGroup
	group.Add(doers * each)
	var ready, finished atomic.Int64
	var start atomic.Bool
	for range doers {
		go func() {
			ready.Add(1)
			for ready.Load() < doers {
				runtime.Gosched()
			}
			// Spins, as the threads in src/groups/wait_groups do: goroutines that yielded
			// would start one after another.
			for !start.Load() {
			}
			for i := 0; i < each-1; i++ {
				group.Done()
			}
			finished.Add(1)
			group.Done()
		}()
	}
	for ready.Load() < doers {
		runtime.Gosched()
	}
	began := time.Now()
	start.Store(true)
	group.Wait()
	return time.Since(began), finished.Load()
}

// handoffs times from Done to the return of Wait. The two goroutines alternate by a channel: a
// goroutine that spins, as the thread in src/groups/wait_groups does, would keep its processor
// from the goroutine that it has just woken.
func handoffs(samples int, waited time.Duration) reply {
	warm := samples/10 + 1
	count := samples + warm
	groups := make([]struct {
		sync.WaitGroup
		_ [112]byte
	}, count)
	for i := range groups {
		groups[i].Add(1)
	}
	base := time.Now()
	var called padded
	arrived := make(chan struct{})
	go func() {
		for i := range groups {
			<-arrived
			for since := time.Now(); time.Since(since) < waited; {
			}
			called.n.Store(uint64(time.Since(base)))
			groups[i].Done()
		}
	}()
	took := make([]uint32, 0, samples)
	for i := range groups {
		called.n.Store(0)
		arrived <- struct{}{}
		groups[i].Wait()
		now := uint64(time.Since(base))
		then := called.n.Load()
		if then == 0 {
			return wrong("wait returned before done was called")
		}
		if i >= warm {
			took = append(took, uint32(now-min(then, now)))
		}
	}
	return latencies(took)
}

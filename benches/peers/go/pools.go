package main

import (
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Pools of three: three goroutines that take chunks of the batch from an index.

type poolTask struct {
	Kind  string
	Load  json.RawMessage
	Tasks int
}

const (
	seats = 3
	idle  = 200 * time.Microsecond
	// Processor time that can't be told from none, in µs per second.
	nothing = 50
)

// chunkOf returns the loop over a chunk of the batch for the task's load.
func chunkOf(t poolTask) func(items, results []uint64) {
	var name string
	var even struct{ Even uint64 }
	if json.Unmarshal(t.Load, &name) != nil {
		if err := json.Unmarshal(t.Load, &even); err != nil {
			panic(err)
		}
		steps := stepsFor(even.Even)
		return func(items, results []uint64) {
			for i, x := range items {
				work(steps, x)
				results[i] = 2 * x
			}
		}
	}
	switch name {
	case "tiny":
		return func(items, results []uint64) {
			for i, x := range items {
				results[i] = 2 * x
			}
		}
	case "hashed":
		return func(items, results []uint64) {
			for i, x := range items {
				random := rng(x)
				work(stepsFor(20+random.next()%1981), x)
				results[i] = 2 * x
			}
		}
	case "tail":
		short, long := stepsFor(50), stepsFor(5_000)
		firstLong := uint64(t.Tasks - t.Tasks/10)
		return func(items, results []uint64) {
			for i, x := range items {
				steps := short
				if x >= firstLong {
					steps = long
				}
				work(steps, x)
				results[i] = 2 * x
			}
		}
	}
	panic("no load " + name)
}

func runBatch(items []uint64, f func(items, results []uint64)) []uint64 {
	results := make([]uint64, len(items))
	chunk := max(len(items)/(seats*128), 1)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(seats, len(items)) {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				from := int(next.Add(int64(chunk))) - chunk
				if from >= len(items) {
					return
				}
				to := min(from+chunk, len(items))
				f(items[from:to], results[from:to])
			}
		}()
	}
	group.Wait()
	return results
}

func right(results []uint64) bool {
	for i, result := range results {
		if result != 2*uint64(i) {
			return false
		}
	}
	return true
}

func pools(r *request) reply {
	t := task[poolTask](r)
	f := chunkOf(t)
	items := make([]uint64, t.Tasks)
	for i := range items {
		items[i] = uint64(i)
	}
	if !right(runBatch(items, f)) {
		return wrong("results")
	}
	switch t.Kind {
	case "batch":
		return longBatches(items, f, time.Duration(r.BudgetNs))
	case "asleep":
		return asleep()
	}
	samples, pause := r.Samples, time.Duration(0)
	switch t.Kind {
	case "hot":
		samples *= 4
	case "idle":
		pause = idle
	}
	warm := samples/10 + 1
	took := make([]uint32, 0, samples)
	for i := range samples + warm {
		for rested := time.Now(); time.Since(rested) < pause; {
		}
		start := time.Now()
		results := runBatch(items, f)
		elapsed := time.Since(start)
		if !right(results) {
			return wrong("results")
		}
		if i >= warm {
			took = append(took, nanos(elapsed))
		}
	}
	return latencies(took)
}

func longBatches(items []uint64, f func(items, results []uint64), budget time.Duration) reply {
	began := time.Now()
	var each []float64
	for len(each) == 0 || time.Since(began) < budget {
		start := time.Now()
		results := runBatch(items, f)
		each = append(each, float64(time.Since(start))/float64(len(items)))
		if !right(results) {
			return wrong("results")
		}
	}
	slices.Sort(each)
	return one((each[(len(each)-1)/2] + each[len(each)/2]) / 2)
}

// asleep returns the processor time used while there is nothing to do, which in Go contains
// that of the goroutine that sleeps here.
func asleep() reply {
	time.Sleep(10 * time.Millisecond)
	start, before := time.Now(), processTime()
	time.Sleep(100 * time.Millisecond)
	used := processTime() - before
	return one(max(float64(used)/float64(time.Since(start))*1e6, nothing))
}

func processTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

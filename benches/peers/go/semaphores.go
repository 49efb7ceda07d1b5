package main

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// weighted is golang.org/x/sync/semaphore's Weighted, of version 0.11, without TryAcquire: only the
// standard library is used here.
type weighted struct {
	_       [128]byte
	size    int64
	cur     int64
	mu      sync.Mutex
	waiters list.List
	_       [112]byte
}

type waiter struct {
	n     int64
	ready chan<- struct{} // Closed when semaphore acquired.
}

// Acquire acquires the semaphore with a weight of n, blocking until resources
// are available or ctx is done.
func (s *weighted) Acquire(ctx context.Context, n int64) error {
	done := ctx.Done()

	s.mu.Lock()
	select {
	case <-done:
		s.mu.Unlock()
		return ctx.Err()
	default:
	}
	if s.size-s.cur >= n && s.waiters.Len() == 0 {
		s.cur += n
		s.mu.Unlock()
		return nil
	}

	if n > s.size {
		s.mu.Unlock()
		<-done
		return ctx.Err()
	}

	ready := make(chan struct{})
	w := waiter{n: n, ready: ready}
	elem := s.waiters.PushBack(w)
	s.mu.Unlock()

	select {
	case <-done:
		s.mu.Lock()
		select {
		case <-ready:
			s.cur -= n
			s.notifyWaiters()
		default:
			isFront := s.waiters.Front() == elem
			s.waiters.Remove(elem)
			if isFront && s.size > s.cur {
				s.notifyWaiters()
			}
		}
		s.mu.Unlock()
		return ctx.Err()

	case <-ready:
		select {
		case <-done:
			s.Release(n)
			return ctx.Err()
		default:
		}
		return nil
	}
}

// Release releases the semaphore with a weight of n.
func (s *weighted) Release(n int64) {
	s.mu.Lock()
	s.cur -= n
	if s.cur < 0 {
		s.mu.Unlock()
		panic("semaphore: released more than held")
	}
	s.notifyWaiters()
	s.mu.Unlock()
}

func (s *weighted) notifyWaiters() {
	for {
		next := s.waiters.Front()
		if next == nil {
			break
		}
		w := next.Value.(waiter)
		if s.size-s.cur < w.n {
			break
		}
		s.cur += w.n
		s.waiters.Remove(next)
		close(w.ready)
	}
}

type semaphoreTask struct {
	Kind            string
	Inside, Outside uint64
	Permits, Large  int64
	Threads         int
}

func semaphores(r *request) reply {
	const batch, maxSamples = 16, 1 << 16
	t := task[semaphoreTask](r)
	inside, outside := stepsFor(t.Inside), stepsFor(t.Outside)
	latency := t.Kind == "latency"
	semaphore := &weighted{size: t.Permits}
	ctx := context.Background()
	took := make([][]uint32, t.Threads)
	var expected, counted atomic.Uint64
	got := run(t.Threads, r.span(), func(w *worker) {
		permits := int64(1)
		if w.index%2 == 1 {
			permits = t.Large
		}
		var own []uint32
		if latency {
			own = make([]uint32, 0, maxSamples)
		}
		var count uint64
		for w.more() {
			if latency && len(own) < maxSamples {
				asked := time.Now()
				semaphore.Acquire(ctx, permits)
				held := time.Since(asked)
				work(inside, count)
				count++
				semaphore.Release(permits)
				own = append(own, nanos(held))
				w.did(1)
			}
			for i := 0; i < batch; i++ {
				semaphore.Acquire(ctx, permits)
				work(inside, count)
				count++
				semaphore.Release(permits)
				work(outside, 1)
			}
			w.did(batch)
		}
		took[w.index] = own
		counted.Add(count)
		expected.Add(w.count)
	})
	if counted.Load() != expected.Load() {
		return wrong("count %d, expected %d", counted.Load(), expected.Load())
	}
	if !latency {
		return one(got.nsPerOp())
	}
	var all []uint32
	for _, own := range took {
		all = append(all, own...)
	}
	return latencies(thin(all))
}

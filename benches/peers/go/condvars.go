package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// Condition variables, as in src/groups/condvars.

type condvarTask struct {
	Kind     string
	Capacity int
}

const (
	// Long enough for a waiting goroutine to be parked.
	asleepAfter = 100 * time.Microsecond
	waiters     = 10
	// Passes that warm up.
	condvarWarm = 4
)

func condvars(r *request) reply {
	t := task[condvarTask](r)
	span := r.longSpan().window
	switch t.Kind {
	case "ping_pong":
		return pingPong(span)
	case "notify_all_held":
		return notifyAll(span, true)
	case "notify_all_unlocked":
		return notifyAll(span, false)
	}
	return boundedQueue(t.Capacity, r.span())
}

func pingPong(span time.Duration) reply {
	var ball struct {
		sync.Mutex
		withPong, over bool
		returned       int
	}
	changed := sync.NewCond(&ball.Mutex)
	var ended sync.WaitGroup
	ended.Add(1)
	go func() {
		defer ended.Done()
		ball.Lock()
		defer ball.Unlock()
		for {
			for !ball.withPong {
				changed.Wait()
			}
			if ball.over {
				return
			}
			ball.withPong = false
			ball.returned++
			changed.Signal()
		}
	}()
	var took []uint32
	began := time.Now()
	ball.Lock()
	for len(took) <= condvarWarm || time.Since(began) < span {
		start := time.Now()
		ball.withPong = true
		changed.Signal()
		for ball.withPong {
			changed.Wait()
		}
		took = append(took, nanos(time.Since(start)))
	}
	ball.over = true
	ball.withPong = true
	changed.Signal()
	ball.Unlock()
	ended.Wait()
	if ball.returned != len(took) {
		return wrong("%d returns, expected %d", ball.returned, len(took))
	}
	return latencies(thin(took[condvarWarm:]))
}

// Ten goroutines wait at a gate until the epoch changes.
type gate struct {
	sync.Mutex
	opened  *sync.Cond
	waiting int
	epoch   int
	over    bool
}

// gather returns when all ten wait at the gate, and have had time to be parked.
func (g *gate) gather() {
	for all := false; !all; {
		time.Sleep(asleepAfter)
		g.Lock()
		all = g.waiting == waiters
		g.Unlock()
	}
	time.Sleep(asleepAfter)
}

func notifyAll(span time.Duration, held bool) reply {
	var g gate
	g.opened = sync.NewCond(&g.Mutex)
	base := time.Now()
	var left, last padded
	// together keeps goroutines that have left from returning before all have, and wakes
	// the notifier then.
	together := newBarrier(waiters + 1)
	var ended sync.WaitGroup
	for range waiters {
		ended.Add(1)
		go func() {
			defer ended.Done()
			for over := false; !over; {
				g.Lock()
				g.waiting++
				for epoch := g.epoch; g.epoch == epoch; {
					g.opened.Wait()
				}
				over = g.over
				g.Unlock()
				if left.n.Add(1) == waiters {
					last.n.Store(uint64(time.Since(base)))
				}
				together.wait()
			}
		}()
	}
	var allLeft, own []uint32
	for over := false; !over; {
		g.gather()
		left.n.Store(0)
		over = len(allLeft) > condvarWarm && time.Since(base) >= span
		g.Lock()
		g.waiting = 0
		g.epoch++
		g.over = over
		if !held {
			g.Unlock()
		}
		start := time.Since(base)
		g.opened.Broadcast()
		if held {
			g.Unlock()
		}
		own = append(own, nanos(time.Since(base)-start))
		together.wait()
		allLeft = append(allLeft, nanos(max(time.Duration(last.n.Load())-start, 0)))
	}
	ended.Wait()
	if g.epoch != len(allLeft) {
		return wrong("%d notifications, expected %d", g.epoch, len(allLeft))
	}
	return reply{Samples: [][2]any{
		{"all left", thin(allLeft[condvarWarm:])}, {"notify_all", thin(own[condvarWarm:])},
	}}
}

// barrier lets a number of goroutines go on together, again and again.
type barrier struct {
	sync.Mutex
	all, here int
	open      chan struct{}
}

func newBarrier(all int) *barrier {
	return &barrier{all: all, open: make(chan struct{})}
}

func (b *barrier) wait() {
	b.Lock()
	open := b.open
	b.here++
	if b.here == b.all {
		b.here, b.open = 0, make(chan struct{})
		close(open)
	}
	b.Unlock()
	<-open
}

type queue struct {
	sync.Mutex
	notFull, notEmpty *sync.Cond
	messages          []uint64
	first, count      int
	producers         int
}

func (q *queue) put(message uint64) {
	q.Lock()
	for q.count == len(q.messages) {
		q.notFull.Wait()
	}
	q.messages[(q.first+q.count)%len(q.messages)] = message
	q.count++
	q.notEmpty.Signal()
	q.Unlock()
}

func (q *queue) take() (message uint64, ok bool) {
	q.Lock()
	defer q.Unlock()
	for q.count == 0 {
		if q.producers == 0 {
			return 0, false
		}
		q.notEmpty.Wait()
	}
	message = q.messages[q.first]
	q.first = (q.first + 1) % len(q.messages)
	q.count--
	q.notFull.Signal()
	return message, true
}

func (q *queue) leave() {
	q.Lock()
	q.producers--
	if q.producers == 0 {
		q.notEmpty.Broadcast()
	}
	q.Unlock()
}

func boundedQueue(capacity int, s span) reply {
	const producers, consumers = 2, 2
	const timed, maxSamples = 8, 1 << 15
	q := queue{messages: make([]uint64, capacity), producers: producers}
	q.notFull, q.notEmpty = sync.NewCond(&q.Mutex), sync.NewCond(&q.Mutex)
	took := make([][]uint32, producers+consumers)
	var sent, sentSum, received, receivedSum atomic.Uint64
	got := run(producers+consumers, s, func(w *worker) {
		own := make([]uint32, 0, maxSamples)
		var sum uint64
		for more := true; more; {
			now := w.count%timed == 0 && len(own) < maxSamples
			var start time.Time
			if now {
				start = time.Now()
			}
			message := w.count
			if w.index < producers {
				if more = w.more(); more {
					q.put(message)
				}
			} else {
				message, more = q.take()
			}
			if now && more {
				own = append(own, nanos(time.Since(start)))
			}
			if more {
				sum += message
				w.did(1)
			}
		}
		took[w.index] = own
		if w.index < producers {
			q.leave()
			sent.Add(w.count)
			sentSum.Add(sum)
		} else {
			received.Add(w.count)
			receivedSum.Add(sum)
		}
	})
	if sent.Load() != received.Load() || sentSum.Load() != receivedSum.Load() {
		return wrong("%d messages, expected %d", received.Load(), sent.Load())
	}
	both := func(a, b []uint32) []uint32 { return thin(append(a, b...)) }
	return reply{
		Figures: [][2]any{{"message", got.nsPerOpOf(producers, producers+consumers)}},
		Samples: [][2]any{{"put", both(took[0], took[1])}, {"take", both(took[2], took[3])}},
	}
}

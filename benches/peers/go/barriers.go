package main

import "sync"

type barrierTask struct {
	Work    uint64
	Threads int
}

// roundBarrier is made of wait groups, one for each of three rounds in turn. When a round is passed, all
// parties have left the round before it: that group is set up for the round after the next.
type roundBarrier struct {
	_       [128]byte
	parties int
	rounds  [3]sync.WaitGroup
	_       [112]byte
}

func newRoundBarrier(parties int) *roundBarrier {
	b := &roundBarrier{parties: parties}
	b.rounds[0].Add(parties)
	b.rounds[1].Add(parties)
	return b
}

func (b *roundBarrier) wait(round uint64, first bool) {
	group := &b.rounds[round%3]
	group.Done()
	group.Wait()
	if first {
		b.rounds[(round+2)%3].Add(b.parties)
	}
}

func barriers(r *request) reply {
	t := task[barrierTask](r)
	steps := stepsFor(t.Work)
	b := newRoundBarrier(t.Threads)
	var last padded
	last.n.Store(^uint64(0))
	totals := make([]uint64, t.Threads)
	got := run(t.Threads, r.span(), func(w *worker) {
		for round := uint64(0); ; round++ {
			work(steps, round)
			if w.index == 0 && !w.more() {
				last.n.Store(round)
			}
			b.wait(round, w.index == 0)
			w.did(1)
			if last.n.Load() <= round {
				break
			}
		}
		totals[w.index] = w.count
	})
	for _, total := range totals {
		if total != totals[0] {
			return wrong("rounds %v", totals)
		}
	}
	return one(got.nsPerOpOf(0, 1))
}

package main

import (
	"sync/atomic"
)

type channelTask struct {
	Capacity             int
	Producers, Consumers int
}

func channels(r *request) reply {
	const batch = 16
	t := task[channelTask](r)
	channel := make(chan int, t.Capacity)
	var sent, sentSum, received, receivedSum, producing atomic.Int64
	producing.Store(int64(t.Producers))
	got := run(t.Producers+t.Consumers, r.span(), func(w *worker) {
		count, sum := 0, 0
		if w.index < t.Producers {
			for w.more() {
				for i := 0; i < batch; i++ {
					channel <- count
					sum += count
					count++
				}
				w.did(batch)
			}
			sent.Add(int64(count))
			sentSum.Add(int64(sum))
			if producing.Add(-1) == 0 {
				close(channel)
			}
			return
		}
		for message := range channel {
			sum += message
			count++
			if count%batch == 0 {
				w.did(batch)
			}
		}
		received.Add(int64(count))
		receivedSum.Add(int64(sum))
	})
	if sent.Load() != received.Load() || sentSum.Load() != receivedSum.Load() {
		return wrong("%d messages, expected %d", received.Load(), sent.Load())
	}
	return one(got.nsPerOpOf(t.Producers, t.Producers+t.Consumers))
}

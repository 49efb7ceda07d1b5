package main

import (
	"sync/atomic"
	"time"
)

type channelTask struct {
	Kind                 string
	Capacity             int
	Producers, Consumers int
}

func channels(r *request) reply {
	const batch = 16
	t := task[channelTask](r)
	channel := make(chan int, t.Capacity)
	if t.Kind != "messages" {
		send := func(message int) { channel <- message }
		return blocked(r, t.Kind, send, func(take func(int) bool) {
			for take(<-channel) {
			}
		})
	}
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

const (
	// As in src/groups/channels/handoff.rs.
	blockedSamples = 5
	blockedBudgets = 25
	idleTime       = 200 * time.Millisecond
	// The last message of a channel.
	lastMessage = -1
)

// blocked times from send to the return of a blocked receive, or measures what a blocked receiver
// costs. The two goroutines alternate by a channel, as those in waitgroups.go do, and for the same
// reason. Whether a goroutine is parked can't be seen, but one that receives from an empty channel
// parks at once.
func blocked(r *request, kind string, send func(int), each func(take func(int) bool)) reply {
	samples := r.Samples * blockedSamples
	warm := samples/10 + 1
	count, waited := samples+warm, time.Microsecond
	switch kind {
	case "asleep":
		waited = 100 * time.Microsecond
	case "idle":
		count, warm, waited = 1, 0, idleTime
	}
	base := time.Now()
	budget := time.Duration(r.BudgetNs) * blockedBudgets
	begun := make(chan struct{})
	sums := make(chan int, 1)
	go func() {
		sum := 0
		for at := 0; at < count && time.Since(base) < budget; at++ {
			<-begun
			if kind == "idle" {
				time.Sleep(waited)
			} else {
				for since := time.Now(); time.Since(since) < waited; {
				}
			}
			stamp := max(1, int(time.Since(base)))
			sum += stamp
			send(stamp)
		}
		<-begun
		send(lastMessage)
		sums <- sum
	}()
	took := make([]uint32, 0, count)
	received := 0
	before := processTime()
	var used time.Duration
	begun <- struct{}{}
	each(func(message int) bool {
		returned := int(time.Since(base))
		if message == lastMessage {
			return false
		}
		if kind == "idle" {
			used = processTime() - before
		}
		received += message
		took = append(took, uint32(max(0, returned-message)))
		begun <- struct{}{}
		return true
	})
	if sent := <-sums; sent != received {
		return wrong("sum of times %d, expected %d", received, sent)
	}
	if kind == "idle" {
		return one(float64(used) / 1e3)
	}
	return latencies(took[min(warm, len(took)/2):])
}

type selectTask struct {
	Kind     string
	Channels int
	Senders  int
}

// channelsSelect receives on one goroutine from several channels of capacity 10, as in
// src/groups/channels/select.rs.
func channelsSelect(r *request) reply {
	const batch = 16
	t := task[selectTask](r)
	all := make([]chan int, t.Channels)
	for i := range all {
		all[i] = make(chan int, 10)
	}
	each := selectTwo
	if t.Channels == 8 {
		each = selectEight
	}
	if t.Kind != "messages" {
		turn := 0
		send := func(message int) {
			turn = (turn + 1) % len(all)
			all[turn] <- message
		}
		return blocked(r, t.Kind, send, func(take func(int) bool) { each(all, take) })
	}
	share := t.Channels / t.Senders
	var sent, sentSum atomic.Int64
	var received, receivedSum int
	got := run(t.Senders+1, r.span(), func(w *worker) {
		count, sum := 0, 0
		if w.index == t.Senders {
			open := len(all)
			each(all, func(message int) bool {
				if message == lastMessage {
					open--
					return open > 0
				}
				sum += message
				count++
				if count%batch == 0 {
					w.did(batch)
				}
				return true
			})
			received, receivedSum = count, sum
			return
		}
		own := all[w.index*share : (w.index+1)*share]
		turn := 0
		for w.more() {
			for i := 0; i < batch; i++ {
				own[turn] <- count
				turn++
				if turn == share {
					turn = 0
				}
				sum += count
				count++
			}
			w.did(batch)
		}
		for _, channel := range own {
			channel <- lastMessage
		}
		sent.Add(int64(count))
		sentSum.Add(int64(sum))
	})
	if int(sent.Load()) != received || int(sentSum.Load()) != receivedSum {
		return wrong("%d messages, expected %d", received, sent.Load())
	}
	return one(got.nsPerOpOf(t.Senders, t.Senders+1))
}

func selectTwo(all []chan int, take func(int) bool) {
	a, b := all[0], all[1]
	for message := 0; ; {
		select {
		case message = <-a:
		case message = <-b:
		}
		if !take(message) {
			return
		}
	}
}

func selectEight(all []chan int, take func(int) bool) {
	a, b, c, d, e, f, g, h := all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7]
	for message := 0; ; {
		select {
		case message = <-a:
		case message = <-b:
		case message = <-c:
		case message = <-d:
		case message = <-e:
		case message = <-f:
		case message = <-g:
		case message = <-h:
		}
		if !take(message) {
			return
		}
	}
}

package main

import (
	"sync"
	"sync/atomic"
)

type storeTask struct {
	Keys    int
	Zipf    bool
	Reads   uint64
	Threads int
	Seed    uint64
}

// A row's script is kept between rounds, as in src/groups/stores.
var (
	scriptFor storeTask
	scriptNow []uint32
)

func (t storeTask) script() []uint32 {
	key := t
	key.Threads = 0
	if scriptNow == nil || scriptFor != key {
		scriptFor, scriptNow = key, makeScript(t.Keys, t.Zipf, t.Reads, t.Seed)
	}
	return scriptNow
}

type store interface {
	get(key uint64) (uint64, bool)
	put(key, value uint64)
}

type syncMap struct{ sync.Map }

func (m *syncMap) get(key uint64) (uint64, bool) {
	value, ok := m.Load(key)
	if !ok {
		return 0, false
	}
	return value.(uint64), true
}

func (m *syncMap) put(key, value uint64) { m.Store(key, value) }

type rwMap struct {
	sync.RWMutex
	entries map[uint64]uint64
}

func (m *rwMap) get(key uint64) (uint64, bool) {
	m.RLock()
	value, ok := m.entries[key]
	m.RUnlock()
	return value, ok
}

func (m *rwMap) put(key, value uint64) {
	m.Lock()
	m.entries[key] = value
	m.Unlock()
}

func stores(r *request) reply {
	return storeRound[*syncMap](r, &syncMap{})
}

func storesRWMutex(r *request) reply {
	t := task[storeTask](r)
	return storeRound[*rwMap](r, &rwMap{entries: make(map[uint64]uint64, t.Keys)})
}

func storeRound[S store](r *request, s S) reply {
	const batch = 32
	t := task[storeTask](r)
	for key := range uint64(t.Keys) {
		s.put(key, key)
	}
	script := t.script()
	belongs := func(key uint64) bool {
		value, ok := s.get(key)
		return ok && value&0xffffffff == key
	}
	var bad atomic.Uint64
	got := run(t.Threads, r.span(), func(w *worker) {
		at := scriptLen / t.Threads * w.index / batch * batch
		var ownBad uint64
		for w.more() {
			for _, op := range script[at : at+batch] {
				key := uint64(op &^ writeFlag)
				if op&writeFlag == 0 {
					value, ok := s.get(key)
					if !ok || value&0xffffffff != key {
						ownBad++
					}
				} else {
					s.put(key, key|uint64(at)<<32)
				}
			}
			at = (at + batch) % scriptLen
			w.did(batch)
		}
		bad.Add(ownBad)
	})
	if bad.Load() != 0 {
		return wrong("%d wrong values", bad.Load())
	}
	for key := range uint64(t.Keys) {
		if !belongs(key) {
			return wrong("key %d is missing", key)
		}
	}
	return one(got.nsPerOp())
}

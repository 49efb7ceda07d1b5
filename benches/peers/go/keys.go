package main

import "sort"

// The same generator, law and scripts as in src/keys.rs, draw by draw.

const (
	writeFlag = 1 << 31
	scriptLen = 1 << 18
)

// rng is SplitMix64.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func (r *rng) unit() float64 { return float64(r.next()>>11) / (1 << 53) }

// zipf draws from 0..n with exponent 1.
func zipf(n int) func(*rng) int {
	cumulative := make([]float64, n)
	total := 0.0
	for i := range cumulative {
		total += 1 / float64(i+1)
		cumulative[i] = total
	}
	return func(r *rng) int {
		at := r.unit() * total
		return sort.Search(n, func(i int) bool { return cumulative[i] > at })
	}
}

func makeScript(keys int, isZipf bool, reads, seed uint64) []uint32 {
	r := rng(seed)
	draw := func(r *rng) int { return int(r.next() % uint64(keys)) }
	if isZipf {
		draw = zipf(keys)
	}
	script := make([]uint32, scriptLen)
	for i := range script {
		script[i] = uint32(draw(&r))
		if r.next()%1000 >= reads {
			script[i] |= writeFlag
		}
	}
	return script
}

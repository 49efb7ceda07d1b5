package main

import (
	"math"
	"sync/atomic"
)

// Calibrated busy work, step by step as in src/work.rs. A step takes as long here as there,
// since each depends on the one before.

// nsPerStep comes with each request.
var nsPerStep float64

//go:noinline
func work(steps int, seed uint64) uint64 {
	x := atomic.LoadUint64(&seed) | 1
	for i := 0; i < steps; i++ {
		x = (x ^ (x >> 7)) * 0x5851f42d4c957f2d
	}
	return x
}

func stepsFor(ns uint64) int {
	return int(math.Round(float64(ns) / nsPerStep))
}

package main

import (
	"math"
	"time"
)

// Calibrated busy work, as in src/work.rs, with a calibration of its own: the
// two compilers make different loops.

var nsPerStep float64

//go:noinline
func work(steps int, seed uint64) uint64 {
	x := seed | 1
	for i := 0; i < steps; i++ {
		x = x*0x5851f42d4c957f2d + 1
	}
	return x
}

func calibrate() {
	const steps = 20_000
	fastest := math.Inf(1)
	for seed := uint64(0); seed < 50; seed++ {
		start := time.Now()
		work(steps, seed)
		fastest = min(fastest, float64(time.Since(start)))
	}
	nsPerStep = fastest / steps
}

func stepsFor(ns uint64) int {
	return int(math.Round(float64(ns) / nsPerStep))
}

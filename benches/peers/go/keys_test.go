package main

import "testing"

// The other side's test of its own scripts, in src/keys.rs, has the same numbers.
func TestScriptsAreThoseThatRustFollows(t *testing.T) {
	sum := func(script []uint32) (sum uint64) {
		for _, op := range script {
			sum = sum*31 + uint64(op)
		}
		return sum
	}
	if got := sum(makeScript(10_000, false, 950, 42)); got != 12_641_045_546_789_422_183 {
		t.Error("uniform:", got)
	}
	if got := sum(makeScript(100_000, true, 500, 42)); got != 5_937_860_855_901_540_141 {
		t.Error("Zipf:", got)
	}
}

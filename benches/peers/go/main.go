// The Go contenders, as a co-process: one round for each request.
//
// A request is a line of JSON on standard input, the answer a line on standard
// output. Only the standard library is used. The measured loops are the same as
// on the other side, operation by operation.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"
)

type request struct {
	Group    string          `json:"group"`
	WarmNs   int64           `json:"warm_ns"`
	WindowNs int64           `json:"window_ns"`
	LongNs   int64           `json:"long_window_ns"`
	BudgetNs int64           `json:"budget_ns"`
	Samples  int             `json:"samples"`
	PerStep  float64         `json:"ns_per_step"`
	Task     json.RawMessage `json:"task"`
}

func (r *request) span() span {
	return span{time.Duration(r.WarmNs), time.Duration(r.WindowNs)}
}

// longSpan is for rounds in which single waits are long.
func (r *request) longSpan() span {
	return span{time.Duration(r.WarmNs), time.Duration(r.LongNs)}
}

// reply holds figures as pairs of a name and a value, and samples as pairs of a name
// and single durations in nanoseconds, or other numbers.
type reply struct {
	Error   string   `json:"error,omitempty"`
	Figures [][2]any `json:"figures,omitempty"`
	Samples [][2]any `json:"samples,omitempty"`
}

func one(value float64) reply {
	return reply{Figures: [][2]any{{"", value}}}
}

func latencies(nanos []uint32) reply {
	return reply{Samples: [][2]any{{"", nanos}}}
}

// nanos returns a duration as a sample, at most 4.29 s.
func nanos(took time.Duration) uint32 {
	return uint32(min(took, math.MaxUint32))
}

// thin keeps at most 4096 samples, evenly spaced in sorted order, as src/stats.rs does.
func thin(all []uint32) []uint32 {
	const kept = 4096
	slices.Sort(all)
	if len(all) <= kept {
		return all
	}
	few := make([]uint32, kept)
	for i := range few {
		few[i] = all[i*(len(all)-1)/(kept-1)]
	}
	return few
}

func wrong(format string, args ...any) reply {
	return reply{Error: "wrong answer: " + fmt.Sprintf(format, args...)}
}

var groups = map[string]func(*request) reply{
	"counters":        counters,
	"condvars":        condvars,
	"mutexes":         mutexes,
	"semaphores":      semaphores,
	"barriers":        barriers,
	"rwlocks":         rwlocks,
	"wait_groups":     waitGroups,
	"pools":           pools,
	"stores":          stores,
	"stores_rwmutex":  storesRWMutex,
	"channels":        channels,
	"channels_select": channelsSelect,
}

func answer(line []byte) reply {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return reply{Error: err.Error()}
	}
	group := groups[r.Group]
	if group == nil {
		return reply{Error: "no group " + r.Group}
	}
	nsPerStep = r.PerStep
	// The garbage of the last round is collected before this one, not during it.
	runtime.GC()
	return group(&r)
}

// task reads the request's task into t.
func task[T any](r *request) (t T) {
	if err := json.Unmarshal(r.Task, &t); err != nil {
		panic(err)
	}
	return t
}

func main() {
	out := json.NewEncoder(os.Stdout)
	hello := map[string]any{"version": runtime.Version()}
	if err := out.Encode(hello); err != nil {
		return
	}
	for request := range requests() {
		if err := out.Encode(answer(request)); err != nil {
			return
		}
	}
}

// requests returns the lines of standard input. When it ends, the process exits, even in the
// middle of a round: nothing would read the answer.
func requests() <-chan []byte {
	lines := make(chan []byte)
	go func() {
		in := bufio.NewScanner(os.Stdin)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			lines <- slices.Clone(in.Bytes())
		}
		os.Exit(0)
	}()
	return lines
}

// SPDX-License-Identifier: Apache-2.0

// cel-go on the rows that cel_bench --export prints: reads them from standard input, prints one JSON
// object a row. Programs are built as Kubernetes and others build them, once plainly and once with
// its optimiser; the better figure counts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/google/cel-go/cel"
)

type row struct {
	Row        string `json:"row"`
	Variable   string `json:"variable"`
	Compile    bool   `json:"compile"`
	Expression string `json:"expression"`
	Data       any    `json:"data"`
}

const rounds = 15

// CPU time of the process so far, the collector's included.
func used() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// median of rounds of about 20 ms each, nanoseconds of CPU time a call
func measure(once func()) float64 {
	count := 16
	for {
		start := used()
		for i := 0; i < count; i++ {
			once()
		}
		if used()-start > 20*time.Millisecond {
			break
		}
		count *= 2
	}
	figures := make([]float64, rounds)
	for r := range figures {
		start := used()
		for i := 0; i < count; i++ {
			once()
		}
		figures[r] = float64((used() - start).Nanoseconds()) / float64(count)
	}
	sort.Float64s(figures)
	return figures[rounds/2]
}

// JSON numbers without a fraction are int, as in rectify.
func integers(v any) any {
	switch t := v.(type) {
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i
		}
		f, _ := t.Float64()
		return f
	case []any:
		for i := range t {
			t[i] = integers(t[i])
		}
	case map[string]any:
		for k := range t {
			t[k] = integers(t[k])
		}
	}
	return v
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "cel-go:", err)
		os.Exit(2)
	}
}

func compile(env *cel.Env, text string) *cel.Ast {
	ast, issues := env.Compile(text)
	if issues != nil {
		check(issues.Err())
	}
	return ast
}

func run(r row) float64 {
	env, err := cel.NewEnv(cel.Variable(r.Variable, cel.DynType))
	check(err)
	if r.Compile {
		return measure(func() { compile(env, r.Expression) })
	}
	best := 0.0
	for _, options := range [][]cel.ProgramOption{nil, {cel.EvalOptions(cel.OptOptimize)}} {
		program, err := env.Program(compile(env, r.Expression), options...)
		check(err)
		input := map[string]any{r.Variable: r.Data}
		figure := measure(func() {
			_, _, err := program.Eval(input)
			check(err)
		})
		if best == 0 || figure < best {
			best = figure
		}
	}
	return best
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		var r row
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.UseNumber()
		check(decoder.Decode(&r))
		r.Data = integers(r.Data)
		fmt.Printf("{\"row\":%q,\"ns\":%.1f}\n", r.Row, run(r))
	}
	check(lines.Err())
}

// SPDX-License-Identifier: Apache-2.0

// quamina on the rows that the matcher's benchmark exported: quamina DIR. One JSON line a row. Its
// language is smaller, so rules are said in its words where it has any ({"suffix":"x"} is
// {"shellstyle":"*x"}) and left out where it has none (ranges, cidr, $or, most of anything-but): it
// may then have fewer rules to match. Warms up for a pass and a second, then takes the median of
// passes for two seconds more; rows whose rules take longer than a minute to add are given up.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"time"

	"quamina.net/go/quamina"
)

const patience = time.Minute

type figures struct {
	Engine   string  `json:"engine"`
	Row      string  `json:"row"`
	GivenUp  bool    `json:"given_up"`
	Ns       float64 `json:"ns"`
	Events   int     `json:"events"`
	Matches  int     `json:"matches"`
	Rules    int     `json:"rules"`
	CompileS float64 `json:"compile_s"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "quamina:", err)
		os.Exit(1)
	}
}

// Processor time of this thread, as the other side is measured; the collector's comes for free.
func used() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var usage syscall.Rusage
	check(syscall.Getrusage(thread, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// A string of which a star is no part.
func plain(v any) (string, bool) {
	s, ok := v.(string)
	return s, ok && !strings.ContainsAny(s, `*\`)
}

// An operator in quamina's words; false: it has none.
func operator(name string, operand any) (any, bool) {
	switch name {
	case "exists":
		return map[string]any{name: operand}, true
	case "prefix", "equals-ignore-case":
		s, ok := operand.(string)
		return map[string]any{name: s}, ok
	case "suffix":
		s, ok := plain(operand)
		return map[string]any{"shellstyle": "*" + s}, ok
	case "wildcard":
		s, ok := operand.(string)
		return map[string]any{"shellstyle": s}, ok && !strings.Contains(s, `\`)
	case "anything-but":
		list, ok := operand.([]any)
		if !ok {
			list = []any{operand}
		}
		for _, v := range list {
			if _, ok := v.(string); !ok {
				return nil, false
			}
		}
		return map[string]any{name: list}, true
	case "numeric":
		list := operand.([]any)
		return list[len(list)-1], len(list) == 2 && list[0] == "="
	}
	return nil, false
}

func translate(pattern map[string]any) bool {
	for name, v := range pattern {
		switch v := v.(type) {
		case map[string]any:
			if !translate(v) {
				return false
			}
		case []any:
			if name == "$or" {
				return false
			}
			for i := range v {
				object, ok := v[i].(map[string]any)
				for operation, operand := range object {
					v[i], ok = operator(operation, operand)
					if !ok {
						return false
					}
				}
			}
		}
	}
	return true
}

// The rules that quamina can say.
func translateAll(rules [][]byte) []string {
	var patterns []string
	for _, rule := range rules {
		var pattern map[string]any
		decoder := json.NewDecoder(bytes.NewReader(rule))
		decoder.UseNumber()
		check(decoder.Decode(&pattern))
		if translate(pattern) {
			text, err := json.Marshal(pattern)
			check(err)
			patterns = append(patterns, string(text))
		}
	}
	return patterns
}

// nil: that took too long.
func build(patterns []string) *quamina.Quamina {
	q, err := quamina.New()
	check(err)
	start := time.Now()
	for i, pattern := range patterns {
		check(q.AddPattern(i, pattern))
		if time.Since(start) > patience {
			return nil
		}
	}
	return q
}

func pass(q *quamina.Quamina, events [][]byte) int {
	matches := 0
	for _, event := range events {
		found, err := q.MatchesForEvent(event)
		check(err)
		matches += len(found)
	}
	return matches
}

func measure(name string, rules, events [][]byte) figures {
	patterns := translateAll(rules)
	start := used()
	q := build(patterns)
	f := figures{Engine: "quamina", Row: name, GivenUp: q == nil, Events: len(events),
		Rules: len(patterns), CompileS: (used() - start).Seconds()}
	if q == nil || len(patterns) == 0 {
		return f
	}
	begin := time.Now()
	for f.Matches = pass(q, events); time.Since(begin) < time.Second; {
		pass(q, events)
	}
	var passes []float64
	for begin = time.Now(); len(passes) < 3 || time.Since(begin) < 2*time.Second; {
		before := used()
		pass(q, events)
		passes = append(passes, float64((used()-before).Nanoseconds())/float64(len(events)))
	}
	sort.Float64s(passes)
	f.Ns = passes[len(passes)/2]
	return f
}

func lines(dir, name string) [][]byte {
	text, err := os.ReadFile(filepath.Join(dir, name))
	check(err)
	var list [][]byte
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		list = append(list, []byte(line))
	}
	return list
}

func main() {
	runtime.LockOSThread()
	file, err := os.Open(filepath.Join(os.Args[1], "rows.tsv"))
	check(err)
	for rows := bufio.NewScanner(file); rows.Scan(); {
		name, events, _ := strings.Cut(rows.Text(), "\t")
		rules := lines(os.Args[1], strings.ReplaceAll(name, " ", "-"))
		check(json.NewEncoder(os.Stdout).Encode(measure(name, rules, lines(os.Args[1], events))))
		runtime.GC()
	}
}

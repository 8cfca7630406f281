// SPDX-License-Identifier: Apache-2.0

// cel-go's answers to the questions that tests/conform/cel_answer.c answers, in the same form; see
// there. The variables are the same.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

type question struct {
	Expression string `json:"e"`
	Core       bool   `json:"core"`
	Unchecked  bool   `json:"un"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "cel-oracle:", err)
		os.Exit(2)
	}
}

func showMap(m traits.Mapper) string {
	var entries []string
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		entries = append(entries, show(key)+":"+show(m.Get(key)))
	}
	sort.Strings(entries)
	return "{" + strings.Join(entries, ",") + "}"
}

func showList(l traits.Lister) string {
	var items []string
	for i := types.Int(0); i < l.Size().(types.Int); i++ {
		items = append(items, show(l.Get(i)))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func show(v ref.Val) string {
	switch t := v.(type) {
	case types.Int:
		return fmt.Sprintf("i%d", int64(t))
	case types.Uint:
		return fmt.Sprintf("u%d", uint64(t))
	case types.Double:
		if math.IsNaN(float64(t)) {
			return "dNaN"
		}
		return fmt.Sprintf("d%016x", math.Float64bits(float64(t)))
	case types.Bool:
		return fmt.Sprint(bool(t))
	case types.String:
		return "s" + hex.EncodeToString([]byte(t))
	case types.Bytes:
		return "b" + hex.EncodeToString(t)
	case types.Null:
		return "null"
	case types.Timestamp:
		return fmt.Sprintf("t%d.%d", t.Unix(), t.Nanosecond())
	case types.Duration:
		return fmt.Sprintf("D%d", int64(t.Duration))
	case *types.Optional:
		if t.HasValue() {
			return "opt(" + show(t.GetValue()) + ")"
		}
		return "none"
	case *types.Type:
		return "T" + t.TypeName()
	case traits.Mapper:
		return showMap(t)
	case traits.Lister:
		return showList(t)
	}
	return fmt.Sprintf("%s(%v)", v.Type().TypeName(), v.Value())
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

const document = `{"a": {"b": [1, 2.5, "three", null, true]}, "n": null, "k": "v",
	"tags": [{"Key": "a", "Value": "1"}, {"Key": "b"}]}`

func data() map[string]any {
	var x any
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.UseNumber()
	check(decoder.Decode(&x))
	return map[string]any{
		"i": int64(7), "u": uint64(9), "d": 2.5, "s": "héllo wörld", "b": true,
		"y": []byte{0, 255, 65}, "l": []int64{3, 1, 2}, "ls": []string{"b", "a", "é"},
		"m": map[string]int64{"one": 1, "two": 2}, "x": integers(x),
		"t": types.Timestamp{Time: time.Unix(1743297296, 123456789).UTC()},
		"D": types.Duration{Duration: 5400123456789}, "o": types.OptionalOf(types.Int(4)),
	}
}

func environments() (core, full *cel.Env) {
	variables := []cel.EnvOption{
		cel.Variable("i", cel.IntType), cel.Variable("u", cel.UintType),
		cel.Variable("d", cel.DoubleType), cel.Variable("s", cel.StringType),
		cel.Variable("b", cel.BoolType), cel.Variable("y", cel.BytesType),
		cel.Variable("l", cel.ListType(cel.IntType)), cel.Variable("ls", cel.ListType(cel.StringType)),
		cel.Variable("m", cel.MapType(cel.StringType, cel.IntType)), cel.Variable("x", cel.DynType),
		cel.Variable("t", cel.TimestampType), cel.Variable("D", cel.DurationType),
	}
	core, err := cel.NewEnv(variables...)
	check(err)
	full, err = cel.NewEnv(append(variables, cel.OptionalTypes(), ext.Strings(), ext.Math(),
		ext.Lists(), ext.Sets(), ext.Encoders(), ext.Bindings(), ext.TwoVarComprehensions(),
		ext.Regex(), ext.Network(), cel.Variable("o", cel.OptionalType(cel.IntType)))...)
	check(err)
	return core, full
}

func answer(env *cel.Env, q question, input map[string]any) (result map[string]any) {
	result = map[string]any{}
	defer func() {
		if r := recover(); r != nil {
			result = map[string]any{"p": "panic", "m": fmt.Sprint(r)}
		}
	}()
	phase := "parse"
	ast, issues := env.Parse(q.Expression)
	if issues.Err() == nil && !q.Unchecked {
		phase = "check"
		ast, issues = env.Check(ast)
	}
	if issues.Err() != nil {
		var places []string
		for _, e := range issues.Errors() {
			places = append(places, fmt.Sprintf("%d:%d", e.Location.Line(), e.Location.Column()+1))
		}
		return map[string]any{"p": phase, "at": places, "m": issues.Err().Error()}
	}
	if !q.Unchecked {
		result["ty"] = ast.OutputType().String()
	}
	program, err := env.Program(ast)
	var v ref.Val
	if err == nil {
		v, _, err = program.Eval(input)
	}
	if err != nil {
		result["p"], result["m"] = "error", err.Error()
		return result
	}
	result["p"], result["v"] = "ok", show(v)
	return result
}

func main() {
	core, full := environments()
	input := data()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<24)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var q question
		check(json.Unmarshal(lines.Bytes(), &q))
		env := full
		if q.Core {
			env = core
		}
		text, err := json.Marshal(answer(env, q, input))
		check(err)
		fmt.Fprintf(out, "%s\n", text)
	}
	check(lines.Err())
}

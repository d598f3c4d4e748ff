package connector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/certctl/certctl/certctl/secret"
)

// maxConfig bounds a configuration, in octets.
const maxConfig = 256 << 10

// shape is a configuration type: how it is decoded, masked and described.
type shape struct{ fresh func() any } // a pointer to the struct, defaults set

func shapeOf(fresh func() any) shape { return shape{fresh} }

var secretType = reflect.TypeFor[secret.String]()

// decode sets defaults, then what is configured, and reports every problem.
func (s shape) decode(kind string, raw json.RawMessage) (any, error) {
	v := s.fresh()
	var problems []Problem
	switch {
	case len(raw) > maxConfig:
		problems = []Problem{{"", fmt.Sprintf("is larger than %d octets", maxConfig)}}
	case len(bytes.TrimSpace(raw)) == 0:
	case !json.Valid(raw):
		problems = []Problem{{"", "is not JSON"}}
	default:
		problems = walk("", raw, reflect.TypeOf(v).Elem())
		if len(problems) == 0 {
			if err := json.Unmarshal(raw, v); err != nil {
				problems = []Problem{{"", err.Error()}}
			}
		}
	}
	if len(problems) == 0 {
		problems = judge("", reflect.ValueOf(v).Elem())
		if j, ok := v.(interface{ Validate() []Problem }); ok {
			problems = append(problems, j.Validate()...)
		}
	}
	if len(problems) > 0 {
		return nil, &ConfigError{Kind: kind, Problems: problems}
	}
	return v, nil
}

// walk compares JSON with a type: unknown keys and wrong types, all of them.
func walk(path string, raw json.RawMessage, t reflect.Type) []Problem {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if string(bytes.TrimSpace(raw)) == "null" {
		return nil
	}
	custom := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
	switch {
	case t.Kind() == reflect.Struct && !custom:
		var m map[string]json.RawMessage
		if json.Unmarshal(raw, &m) != nil {
			return []Problem{{path, "must be an object"}}
		}
		return walkStruct(path, m, t)
	case t.Kind() == reflect.Slice && !custom && t.Elem().Kind() != reflect.Uint8:
		var l []json.RawMessage
		if json.Unmarshal(raw, &l) != nil {
			return []Problem{{path, "must be a list"}}
		}
		var out []Problem
		for i, e := range l {
			out = append(out, walk(fmt.Sprintf("%s[%d]", path, i), e, t.Elem())...)
		}
		return out
	default:
		if err := json.Unmarshal(raw, reflect.New(t).Interface()); err != nil {
			return []Problem{{path, mustBe(t, err)}}
		}
		return nil
	}
}

func walkStruct(path string, m map[string]json.RawMessage, t reflect.Type) []Problem {
	var out []Problem
	fields := fieldsOf(t)
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			known := make([]string, len(fields))
			for i, f := range fields {
				known[i] = f.name
			}
			out = append(out, Problem{join(path, name), "is not known here; known are " + strings.Join(known, ", ")})
			continue
		}
		out = append(out, walk(join(path, name), m[name], fields[i].Type)...)
	}
	return out
}

// mustBe says what type is wanted, without the value: it may be a secret.
func mustBe(t reflect.Type, err error) string {
	switch {
	case t == secretType || t.Kind() == reflect.String:
		return "must be a text"
	case t.Kind() == reflect.Bool:
		return "must be true or false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "must be a whole number"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "must be a number"
	case t.Kind() == reflect.Map:
		return "must be an object with values of one type"
	default:
		return err.Error()
	}
}

// judge checks the tags required and enum on a decoded value.
func judge(path string, v reflect.Value) []Problem {
	var out []Problem
	for _, f := range fieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.Index)
		at := join(path, f.name)
		if f.Tag.Get("required") == "true" && fv.IsZero() {
			out = append(out, Problem{at, "is required"})
			continue
		}
		if enum := f.Tag.Get("enum"); enum != "" && fv.Kind() == reflect.String && fv.String() != "" && !slices.Contains(strings.Split(enum, ","), fv.String()) {
			out = append(out, Problem{at, "must be one of " + strings.ReplaceAll(enum, ",", ", ")})
		}
		switch {
		case fv.Kind() == reflect.Struct && fv.Type() != secretType && !custom(fv.Type()):
			out = append(out, judge(at, fv)...)
		case fv.Kind() == reflect.Slice && fv.Type().Elem().Kind() == reflect.Struct && !custom(fv.Type()):
			for i := range fv.Len() {
				out = append(out, judge(fmt.Sprintf("%s[%d]", at, i), fv.Index(i))...)
			}
		}
	}
	return out
}

func custom(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

type field struct {
	reflect.StructField
	name string
}

// fieldsOf lists a struct's JSON fields, embedded ones included.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || (f.Anonymous && name == "") {
			continue
		}
		if name == "" {
			name = f.Name
		}
		out = append(out, field{f, name})
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// merge puts stored secrets where next has masks.
func (s shape) merge(kind string, old, next json.RawMessage) (json.RawMessage, error) {
	var o, n any
	if err := json.Unmarshal(next, &n); err != nil {
		return nil, &ConfigError{kind, []Problem{{"", "is not JSON"}}}
	}
	if len(old) > 0 {
		if err := json.Unmarshal(old, &o); err != nil {
			return nil, fmt.Errorf("connector: the stored %s configuration is not JSON: %w", kind, err)
		}
	}
	return json.Marshal(unmask(o, n, reflect.TypeOf(s.fresh()).Elem()))
}

func unmask(old, next any, t reflect.Type) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n := next.(type) {
	case string:
		if o, ok := old.(string); ok && t == secretType && n == secret.Mask {
			return o
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return next
		}
		o, _ := old.(map[string]any)
		for _, f := range fieldsOf(t) {
			if v, ok := n[f.name]; ok {
				n[f.name] = unmask(o[f.name], v, f.Type)
			}
		}
	case []any:
		o, _ := old.([]any)
		for i := range n {
			if i < len(o) && t.Kind() == reflect.Slice {
				n[i] = unmask(o[i], n[i], t.Elem())
			}
		}
	}
	return next
}

package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/certctl/certctl/certctl/secret"
)

// decoding collects what is wrong while a configuration is read.
type decoding struct{ problems []Problem }

func (d *decoding) bad(path, format string, a ...any) {
	d.problems = append(d.problems, Problem{path, fmt.Sprintf(format, a...)})
}

// blamed reports whether something is wrong already at a path or around it.
func (d *decoding) blamed(path string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool {
		return p.Field == path || p.Field == "" || strings.HasPrefix(path, p.Field+".") || strings.HasPrefix(path, p.Field+"[")
	})
}

// value reads JSON into v, which holds the defaults. What is wrong is noted and
// left at its default, so that the rest is judged too.
func (d *decoding) value(path string, raw json.RawMessage, v reflect.Value) {
	if string(bytes.TrimSpace(raw)) == "null" {
		return
	}
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		d.value(path, raw, v.Elem())
	case t.Kind() == reflect.Struct && !custom(t):
		d.object(path, raw, v)
	case t.Kind() == reflect.Slice && !custom(t) && t.Elem().Kind() != reflect.Uint8:
		var l []json.RawMessage
		if json.Unmarshal(raw, &l) != nil {
			d.bad(path, "must be a list")
			return
		}
		list := reflect.MakeSlice(t, len(l), len(l)) // replaces a default
		for i, e := range l {
			d.value(fmt.Sprintf("%s[%d]", path, i), e, list.Index(i))
		}
		v.Set(list)
	default:
		fresh := reflect.New(t)
		if err := json.Unmarshal(raw, fresh.Interface()); err != nil {
			d.bad(path, "%s", mustBe(t, err))
			return
		}
		v.Set(fresh.Elem())
	}
}

func (d *decoding) object(path string, raw json.RawMessage, v reflect.Value) {
	list, err := members(raw)
	if err != nil {
		d.bad(path, "must be an object")
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for _, m := range list {
		at := join(path, m.name)
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == m.name })
		switch {
		case i < 0:
			known := make([]string, len(fields))
			for i, f := range fields {
				known[i] = f.name
			}
			d.bad(at, "is not known here; known are %s", strings.Join(known, ", "))
		case seen[m.name]:
			d.bad(at, "is given twice")
		default:
			d.value(at, m.raw, v.FieldByIndex(fields[i].Index))
		}
		seen[m.name] = true
	}
}

type member struct {
	name string
	raw  json.RawMessage
}

// members reads an object without hiding that a key is there twice.
func members(raw json.RawMessage) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	var out []member
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(key)}
		if err := dec.Decode(&m.raw); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
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

// judge checks the tags required and enum on a decoded value, and that no
// secret is the mask that another answer printed.
func (d *decoding) judge(path string, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			d.judge(path, v.Elem())
		}
	case v.Type() == secretType:
		if v.Interface().(secret.String).Reveal() == secret.Mask {
			d.bad(path, "is the mask of a secret and there is none to keep; give the secret itself")
		}
	case v.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			d.judge(join(path, k.String()), v.MapIndex(k))
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		for i := range v.Len() {
			d.judge(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case v.Kind() == reflect.Struct && !custom(v.Type()):
		for _, f := range fieldsOf(v.Type()) {
			d.judgeField(join(path, f.name), f, v.FieldByIndex(f.Index))
		}
	}
}

func (d *decoding) judgeField(at string, f field, v reflect.Value) {
	if f.Tag.Get("required") == "true" && v.IsZero() {
		if !d.blamed(at) {
			d.bad(at, "is required")
		}
		return
	}
	if enum := f.Tag.Get("enum"); enum != "" {
		allowed := strings.Split(enum, ",")
		wrong := func(at string, v reflect.Value) {
			if v.Kind() == reflect.String && v.String() != "" && !slices.Contains(allowed, v.String()) {
				d.bad(at, "must be one of %s", strings.Join(allowed, ", "))
			}
		}
		wrong(at, v)
		for i := 0; v.Kind() == reflect.Slice && i < v.Len(); i++ {
			wrong(fmt.Sprintf("%s[%d]", at, i), v.Index(i))
		}
	}
	d.judge(at, v)
}

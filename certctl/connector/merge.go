package connector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/certctl/certctl/certctl/secret"
)

// merge puts stored secrets where next has masks. Elements of lists are found
// again by what they show, never by their place alone: a secret must not move
// to another element's address.
func (s shape) merge(kind string, old, next json.RawMessage) (json.RawMessage, error) {
	n, err := parse(next)
	if err != nil {
		return nil, &ConfigError{kind, []Problem{{"", "is not JSON"}}}
	}
	var o any
	if len(old) > 0 {
		if o, err = parse(old); err != nil {
			return nil, fmt.Errorf("connector: the stored %s configuration is not JSON", kind)
		}
	}
	return json.Marshal(unmask(o, n, reflect.TypeOf(s.fresh()).Elem()))
}

// parse keeps numbers as they are written.
func parse(raw json.RawMessage) (out any, err error) {
	if len(raw) > maxConfig || !json.Valid(raw) {
		return nil, fmt.Errorf("connector: not JSON of at most %d octets", maxConfig)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	err = dec.Decode(&out)
	return out, err
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
		o, _ := old.(map[string]any)
		switch t.Kind() {
		case reflect.Struct:
			for _, f := range fieldsOf(t) {
				if v, ok := n[f.name]; ok {
					n[f.name] = unmask(o[f.name], v, f.Type)
				}
			}
		case reflect.Map:
			for k, v := range n {
				n[k] = unmask(o[k], v, t.Elem())
			}
		}
	case []any:
		if o, ok := old.([]any); ok && t.Kind() == reflect.Slice {
			unmaskList(o, n, t.Elem())
		}
	}
	return next
}

func unmaskList(old, next []any, t reflect.Type) {
	if t == secretType { // nothing else to know them by
		if len(old) == len(next) {
			for i := range next {
				next[i] = unmask(old[i], next[i], t)
			}
		}
		return
	}
	used := make([]bool, len(old))
	for i := range next {
		shown := seen(next[i], t)
		for j := range old {
			if !used[j] && shown != nil && bytes.Equal(shown, seen(old[j], t)) {
				used[j] = true
				next[i] = unmask(old[j], next[i], t)
				break
			}
		}
	}
}

// seen is an element as people see it: in full, secrets masked.
func seen(v any, t reflect.Type) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	x := reflect.New(t)
	if json.Unmarshal(raw, x.Interface()) != nil {
		return nil
	}
	out, err := json.Marshal(x.Interface())
	if err != nil {
		return nil
	}
	return out
}

package connector

import (
	"bytes"
	"encoding/json"
	"reflect"
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
	d := &decoding{}
	switch {
	case len(raw) > maxConfig:
		d.bad("", "is larger than %d octets", maxConfig)
	case len(bytes.TrimSpace(raw)) == 0:
	case !json.Valid(raw):
		d.bad("", "is not JSON")
	default:
		d.value("", raw, reflect.ValueOf(v).Elem())
	}
	if !d.blamed("") { // else there is nothing to judge
		d.judge("", reflect.ValueOf(v).Elem())
		if j, ok := v.(interface{ Validate() []Problem }); ok {
			for _, p := range j.Validate() {
				if !d.blamed(p.Field) {
					d.problems = append(d.problems, p)
				}
			}
		}
	}
	if len(d.problems) > 0 {
		return nil, &ConfigError{Kind: kind, Problems: d.problems}
	}
	return v, nil
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

package connector

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// schema describes the configuration type with its defaults.
func (s shape) schema(title string) json.RawMessage {
	v := reflect.ValueOf(s.fresh()).Elem()
	doc := schemaOf(v.Type(), v)
	doc["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	doc["title"] = title
	out, err := json.Marshal(doc)
	if err != nil {
		return json.RawMessage(`{"type":"object"}`)
	}
	return out
}

func schemaOf(t reflect.Type, v reflect.Value) map[string]any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
		v = reflect.Value{}
	}
	switch {
	case t == secretType:
		return map[string]any{"type": "string", "writeOnly": true, "format": "password"}
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "description": "nanoseconds"}
	case custom(t):
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), reflect.Value{})}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), reflect.Value{})}
	case reflect.Struct:
		return objectOf(t, v)
	default:
		return map[string]any{"type": "integer"}
	}
}

func objectOf(t reflect.Type, v reflect.Value) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fieldsOf(t) {
		var fv reflect.Value
		if v.IsValid() {
			fv = v.FieldByIndex(f.Index)
		}
		p := schemaOf(f.Type, fv)
		if doc := f.Tag.Get("doc"); doc != "" {
			p["description"] = doc
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			p["enum"] = strings.Split(enum, ",")
		}
		if fv.IsValid() && !fv.IsZero() && f.Type != secretType && f.Type.Kind() != reflect.Struct {
			p["default"] = fv.Interface()
		}
		if f.Tag.Get("required") == "true" {
			required = append(required, f.name)
		}
		properties[f.name] = p
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

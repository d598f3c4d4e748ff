package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/certctl/certctl/certctl/api"
	"github.com/danielgtaylor/huma/v2"
)

// transform is the last look at every answer that huma writes. Its own errors
// are remade here: they would echo values and whole bodies, and the text of
// unknown errors. (Replacing huma.NewError would do the same for every API in
// the process.)
func (s *service) transform(ctx huma.Context, status string, v any) (any, error) {
	switch v := v.(type) {
	case *failure:
		return v.complete(ctx.Context()), nil
	case *huma.ErrorModel:
		return fromHuma(v).complete(ctx.Context()), nil
	case huma.StatusError: // of a program that has replaced huma.NewError
		return fromHuma(&huma.ErrorModel{Status: v.GetStatus()}).complete(ctx.Context()), nil
	}
	if fields := exchangeOf(ctx.Context()).fields; len(fields) > 0 && strings.HasPrefix(status, "2") {
		return pick(v, fields)
	}
	return v, nil
}

func fromHuma(m *huma.ErrorModel) *failure {
	fields := make([]api.FieldProblem, 0, len(m.Errors))
	var parts []string
	for _, e := range m.Errors {
		if e == nil || m.Status >= http.StatusInternalServerError {
			continue
		}
		p := api.FieldProblem{Field: field(e.Location), Message: clip(e.Message, 300)}
		fields = append(fields, p)
		if p.Field != "" {
			parts = append(parts, p.Field+": "+p.Message)
		} else {
			parts = append(parts, p.Message)
		}
	}
	detail := clip(strings.Join(parts, "; "), 2000)
	switch m.Status {
	case http.StatusBadRequest:
		if len(m.Errors) > 0 {
			return problem(m.Status, api.CodeMalformed, "the body cannot be read as JSON")
		}
		return problem(m.Status, api.CodeMalformed, or(clip(m.Detail, 300), "the request cannot be read"))
	case http.StatusNotAcceptable:
		return problem(m.Status, api.CodeNotAcceptable, "answers are application/json")
	case http.StatusRequestTimeout:
		return problem(m.Status, api.CodeTimeout, "the body came too slowly")
	case http.StatusRequestEntityTooLarge:
		return problem(m.Status, api.CodeTooLarge, "the body is too large")
	case http.StatusUnsupportedMediaType:
		return problem(m.Status, api.CodeMediaType, "send the body as application/json")
	case http.StatusUnprocessableEntity:
		return problem(m.Status, api.CodeInvalid, or(detail, "the request is invalid"), fields...)
	}
	return problem(http.StatusInternalServerError, api.CodeInternal, unknownError)
}

// field turns huma's locations into ours: body.sans[3] is sans[3], query.sort
// is sort.
func field(location string) string {
	for _, prefix := range []string{"body", "query", "path", "header"} {
		if rest, ok := strings.CutPrefix(location, prefix); ok && (rest == "" || rest[0] == '.') {
			return clip(strings.TrimPrefix(rest, "."), 200)
		}
	}
	return clip(location, 200)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// pick cuts the items of a list down to some fields.
func pick(list any, fields []string) (any, error) {
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("cut down a list: %w", err)
	}
	var out api.List[map[string]json.RawMessage]
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("cut down a list: %w", err)
	}
	for _, item := range out.Data {
		for name := range item {
			if !slices.Contains(fields, name) {
				delete(item, name)
			}
		}
	}
	return out, nil
}

package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/google/go-cmp/cmp"
)

type hook struct {
	URL   string        `json:"url" required:"true"`
	Token secret.String `json:"token"`
	Mode  string        `json:"mode,omitempty" enum:"get,post"`
}

type common struct {
	Insecure bool `json:"insecure" doc:"Skips checks"`
}

type config struct {
	common
	Name    string                   `json:"name" doc:"Its name" required:"true"`
	Size    int                      `json:"size" doc:"How many"`
	Ratio   float64                  `json:"ratio"`
	Mode    string                   `json:"mode" enum:"fast,safe"`
	Tags    []string                 `json:"tags"`
	Token   secret.String            `json:"token" doc:"A secret"`
	Nested  hook                     `json:"nested"`
	Perhaps *hook                    `json:"perhaps"`
	Hooks   []hook                   `json:"hooks"`
	Secrets map[string]secret.String `json:"secrets"`
	List    []secret.String          `json:"list"`
	Hidden  string                   `json:"-"`
}

func (c *config) Validate() []connector.Problem {
	if c.Size > 100 {
		return []connector.Problem{{Field: "size", Message: "must be at most 100"}}
	}
	return nil
}

func defaults() config {
	return config{Name: "", Size: 7, Mode: "safe", Tags: []string{"a", "b"}, Nested: hook{URL: "http://default"}}
}

func kind() connector.Kind[*config] {
	return connector.Define("example", "Example", defaults,
		func(_ context.Context, c config, _ connector.Env) (*config, error) { return &c, nil })
}

func problems(t *testing.T, err error) []string {
	t.Helper()
	bad, ok := errors.AsType[*connector.ConfigError](err)
	if !ok {
		t.Fatalf("not a ConfigError: %v", err)
	}
	var out []string
	for _, p := range bad.Problems {
		out = append(out, p.Field+": "+p.Message)
	}
	slices.Sort(out)
	return out
}

func TestAllProblemsAtOnce(t *testing.T) {
	err := kind().Check(json.RawMessage(`{
		"insecure": "yes", "size": 1000, "ratio": "x", "mode": "wild", "tags": ["ok", 3, {}], "token": 12345678,
		"nested": {"url": "", "uRl": 1, "colour": null}, "perhaps": [], "hooks": [{}, {"url": "u", "mode": "put"}, 5],
		"secrets": {"k": "********"}, "Hidden": "x", "size": 2}`))
	want := []string{
		"Hidden: is not known here; known are *",
		"hooks[0].url: is required", "hooks[1].mode: must be one of get, post", "hooks[2]: must be an object",
		"insecure: must be true or false", "mode: must be one of fast, safe", "name: is required",
		"nested.colour: is not known here; known are *", "nested.uRl: is not known here; known are *", "nested.url: is required",
		"perhaps: must be an object", "ratio: must be a number",
		"secrets.k: is the mask of a secret and there is none to keep; give the secret itself",
		"size: is given twice", "tags[1]: must be a text", "tags[2]: must be a text", "token: must be a text",
	}
	got := problems(t, err)
	for i, g := range got {
		if before, _, ok := strings.Cut(g, "known are "); ok {
			got[i] = before + "known are *"
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	if strings.Contains(err.Error(), "12345678") {
		t.Error("the error shows a secret")
	}
	err = kind().Check(json.RawMessage(`{"name":"x","token":{"deep":"canary"},"secrets":{"k":["canary"]}}`))
	if got := problems(t, err); len(got) != 2 || strings.Contains(err.Error(), "canary") {
		t.Errorf("%q", got)
	}
}

func TestValidateRunsBesideOtherProblems(t *testing.T) {
	got := problems(t, kind().Check(json.RawMessage(`{"size": 1000, "oops": 1}`)))
	if len(got) != 3 { // oops, name, size
		t.Errorf("%q", got)
	}
	if got := problems(t, kind().Check(json.RawMessage(`{"name":"x","size":"1000"}`))); len(got) != 1 {
		t.Errorf("one field is blamed twice: %q", got)
	}
}

func TestBadText(t *testing.T) {
	for _, raw := range []string{`{`, `[]`, `"x"`, `{} {}`, `nonsense`, `{"name":"` + strings.Repeat("x", 300<<10) + `"}`} {
		if got := problems(t, kind().Check(json.RawMessage(raw))); len(got) != 1 {
			t.Errorf("%.20s: %q", raw, got)
		}
	}
	if err := kind().Check(json.RawMessage(`{"name":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`)); err == nil {
		t.Error("deep nesting passes")
	}
}

func TestDefaultsFirst(t *testing.T) {
	c, err := kind().Open(t.Context(), json.RawMessage(`{"name":"x","tags":["c"],"token":"s","nested":{"mode":"get"},"perhaps":{"url":"p"},"size":null}`), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Name, want.Tags, want.Token, want.Nested.Mode, want.Perhaps = "x", []string{"c"}, secret.New("s"), "get", &hook{URL: "p"}
	if d := cmp.Diff(&want, c, cmp.AllowUnexported(config{})); d != "" {
		t.Error(d)
	}
	for _, raw := range []string{"", "{}", "null"} {
		if got := problems(t, kind().Check(json.RawMessage(raw))); !slices.Equal(got, []string{"name: is required"}) {
			t.Errorf("%q: %q", raw, got)
		}
	}
}

func TestMask(t *testing.T) {
	out, err := kind().Mask(json.RawMessage(`{"name":"x","token":"canary1","hooks":[{"url":"u","token":"canary2"}],"secrets":{"k":"canary3"},"list":["canary4"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "canary") || strings.Count(string(out), secret.Mask) != 4 || !strings.Contains(string(out), `"size":7`) {
		t.Errorf("%s", out)
	}
}

func TestMerge(t *testing.T) {
	old := `{"name":"x","token":"t1","hooks":[{"url":"a","token":"ta"},{"url":"b","token":"tb"}],"secrets":{"k":"tk"},"list":["l1","l2"],"size":12345678901234567}`
	masked := func(s string) string { return strings.ReplaceAll(s, "MASK", secret.Mask) }
	for _, c := range []struct{ name, next, want string }{
		{"all masked", `{"name":"y","token":"MASK","secrets":{"k":"MASK"},"list":["MASK","MASK"]}`, `{"name":"y","token":"t1","secrets":{"k":"tk"},"list":["l1","l2"]}`},
		{"reordered", `{"hooks":[{"url":"b","token":"MASK"},{"url":"a","token":"MASK"}]}`, `{"hooks":[{"url":"b","token":"tb"},{"url":"a","token":"ta"}]}`},
		{"first removed", `{"hooks":[{"url":"b","token":"MASK","mode":""}]}`, `{"hooks":[{"url":"b","token":"tb","mode":""}]}`},
		{"new address", `{"hooks":[{"url":"evil","token":"MASK"}]}`, `{"hooks":[{"url":"evil","token":"MASK"}]}`},
		{"list shrunk", `{"list":["MASK"]}`, `{"list":["MASK"]}`},
		{"new secret", `{"token":"t2"}`, `{"token":"t2"}`},
		{"removed", `{"name":"y"}`, `{"name":"y"}`},
		{"number kept", `{"size":98765432109876543}`, `{"size":98765432109876543}`},
		{"mask elsewhere", `{"name":"MASK"}`, `{"name":"MASK"}`},
	} {
		got, err := kind().Merge(json.RawMessage(old), json.RawMessage(masked(c.next)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var g, w any
		_ = json.Unmarshal(got, &g)
		_ = json.Unmarshal([]byte(masked(c.want)), &w)
		if d := cmp.Diff(w, g); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	if got, err := kind().Merge(json.RawMessage(`{}`), json.RawMessage(`{"size":98765432109876543}`)); err != nil || !strings.Contains(string(got), "98765432109876543") {
		t.Errorf("a large number: %s, %v", got, err)
	}
	if _, err := kind().Merge(json.RawMessage(old), json.RawMessage(`{`)); err == nil {
		t.Error("no JSON")
	}
	got, err := kind().Merge(nil, json.RawMessage(masked(`{"name":"x","token":"MASK"}`)))
	if err != nil {
		t.Fatal(err)
	}
	if p := problems(t, kind().Check(got)); len(p) != 1 || !strings.Contains(p[0], "token: is the mask") {
		t.Errorf("a mask without a secret is stored: %q", p)
	}
}

func TestSchema(t *testing.T) {
	var s struct {
		Schema     string   `json:"$schema"`
		Title      string   `json:"title"`
		Required   []string `json:"required"`
		Additional bool     `json:"additionalProperties"`
		Properties map[string]struct {
			Type        string          `json:"type"`
			Description string          `json:"description"`
			WriteOnly   bool            `json:"writeOnly"`
			Default     json.RawMessage `json:"default"`
			Enum        []string        `json:"enum"`
			Items       json.RawMessage `json:"items"`
			Properties  map[string]any  `json:"properties"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(kind().Schema(), &s); err != nil {
		t.Fatal(err)
	}
	p := s.Properties
	if s.Schema != "https://json-schema.org/draft/2020-12/schema" || s.Title != "Example" || !slices.Equal(s.Required, []string{"name"}) || s.Additional {
		t.Errorf("%+v", s)
	}
	if p["token"].Type != "string" || !p["token"].WriteOnly || p["token"].Description != "A secret" || p["size"].Type != "integer" || string(p["size"].Default) != "7" {
		t.Errorf("token %+v, size %+v", p["token"], p["size"])
	}
	if !slices.Equal(p["mode"].Enum, []string{"fast", "safe"}) || p["nested"].Properties["url"] == nil || p["insecure"].Type != "boolean" || p["tags"].Type != "array" {
		t.Errorf("%+v", p)
	}
	if _, ok := p["Hidden"]; ok || len(p) != 12 {
		t.Errorf("%d properties", len(p))
	}
}

func TestRegistry(t *testing.T) {
	other := connector.Define("Other", "Other", defaults, func(context.Context, config, connector.Env) (*config, error) { return nil, errors.New("cannot") })
	r, err := connector.NewRegistry(kind().Alias("GenericExample"), other)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example", "EXAMPLE", "genericexample"} {
		if k, ok := r.Kind(name); !ok || k.Name() != "example" || k.Title() != "Example" {
			t.Errorf("%s is not found", name)
		}
	}
	if _, err := r.Open(t.Context(), "Example", json.RawMessage(`{"name":"x"}`), connector.Env{Now: time.Now}); err != nil {
		t.Error(err)
	}
	_, err = r.Open(t.Context(), "nothing", nil, connector.Env{})
	if unknown, ok := errors.AsType[*connector.UnknownKindError](err); !ok || !slices.Equal(unknown.Known, []string{"example", "Other"}) || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("%v", err)
	}
	if len(r.Kinds()) != 2 {
		t.Error("Kinds")
	}
	for name, kinds := range map[string][]connector.Kind[*config]{
		"twice":    {kind(), kind()},
		"by alias": {kind(), other.Alias("Example")},
		"by case":  {connector.Define("EXAMPLE", "", defaults, open), kind()},
		"empty":    {connector.Define("", "", defaults, open)},
		"zero":     {{}},
	} {
		if _, err := connector.NewRegistry(kinds...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func open(context.Context, config, connector.Env) (*config, error) { return nil, nil }

func TestEnvLog(t *testing.T) {
	connector.Env{}.Log().Info("goes nowhere") // and does not panic
}

func FuzzCheck(f *testing.F) {
	f.Add(`{"name":"x","hooks":[{"url":"u"}],"secrets":{"a":"b"}}`)
	f.Add(`{"name":null,"nested":null,"list":[null]}`)
	f.Fuzz(func(t *testing.T, raw string) {
		k := kind()
		if k.Check(json.RawMessage(raw)) != nil {
			return
		}
		masked, err := k.Mask(json.RawMessage(raw))
		if err != nil {
			t.Fatalf("valid, but cannot be masked: %v", err)
		}
		merged, err := k.Merge(json.RawMessage(raw), masked)
		if err != nil {
			t.Fatalf("its mask cannot be merged: %v", err)
		}
		a, _ := k.Open(t.Context(), json.RawMessage(raw), connector.Env{})
		b, err := k.Open(t.Context(), merged, connector.Env{})
		if err != nil {
			t.Fatalf("%s became %s: %v", raw, merged, err)
		}
		if x, y := reveal(a), reveal(b); x != y {
			t.Fatalf("%s became %s by a mask and a merge", x, y)
		}
	})
}

func reveal(c *config) string {
	text, _ := json.Marshal(c)
	out := string(text) + c.Token.Reveal() + c.Nested.Token.Reveal()
	for _, h := range c.Hooks {
		out += "," + h.Token.Reveal()
	}
	for _, s := range c.List {
		out += ";" + s.Reveal()
	}
	return out + fmt.Sprint(len(c.Secrets))
}

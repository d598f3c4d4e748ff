package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
)

type place struct {
	Address string `json:"address" required:"true"`
}

type config struct {
	URL    string        `json:"url" doc:"Where it is" required:"true"`
	Token  secret.String `json:"token" required:"true"`
	Mode   string        `json:"mode" enum:"fast,slow"`
	Days   int           `json:"days"`
	Places []place       `json:"places"`
}

func (c config) Validate() []connector.Problem {
	if c.Days < 1 {
		return []connector.Problem{{Field: "days", Message: "must be at least 1"}}
	}
	return nil
}

type thing interface{ String() string }

func kind() connector.Kind[thing] {
	return connector.Define("Example", "An example", func() config { return config{Mode: "fast", Days: 90} },
		func(_ context.Context, c config, _ connector.Env) (thing, error) { return opened{c}, nil }).Alias("sample")
}

type opened struct{ c config }

func (o opened) String() string { return fmt.Sprint(o.c.URL, " ", o.c.Token.Reveal(), " ", o.c.Days) }

func TestStrictDecoding(t *testing.T) {
	for text, want := range map[string][]string{
		`{"url": "u", "token": "t"}`: nil,
		`{}`:                         {"url: is required", "token: is required"},
		`{"url": 5, "tokn": "x", "days": "many"}`:                                                 {"url: must be a text", "tokn: is not known here; known are url, token, mode, days, places", "days: must be a whole number"},
		`{"url": "u", "token": "t", "mode": "wild", "places": [{"address": "a"}, {"addr": "b"}]}`: {"places[1].addr: is not known"},
		`{"url": "u", "token": "t", "mode": "wild", "places": [{}], "days": 0}`:                   {"mode: must be one of fast, slow", "places[0].address: is required", "days: must be at least 1"},
		`[1]`: {"must be an object"},
		`{"a`: {"is not JSON"},
		`{"token": {"deep": "sekret-value"}, "url": "u"}`: {"token: must be a text"},
	} {
		err := kind().Check(json.RawMessage(text))
		if want == nil {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		bad, ok := errors.AsType[*connector.ConfigError](err)
		if !ok || len(bad.Problems) != len(want) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", text, err, w)
			}
		}
		if strings.Contains(err.Error(), "sekret") {
			t.Errorf("a secret in an error: %v", err)
		}
	}
}

func TestMaskAndMerge(t *testing.T) {
	stored := json.RawMessage(`{"url": "u", "token": "sekret"}`)
	masked, err := kind().Mask(stored)
	if err != nil || strings.Contains(string(masked), "sekret") || !strings.Contains(string(masked), `"days":90`) {
		t.Fatalf("%s, %v", masked, err)
	}
	back, err := kind().Merge(stored, masked)
	if err != nil {
		t.Fatal(err)
	}
	thing, err := kind().Open(t.Context(), back, connector.Env{})
	if err != nil || thing.String() != "u sekret 90" {
		t.Errorf("a masked secret that came back: %v, %v", thing, err)
	}
	next, err := kind().Merge(stored, json.RawMessage(`{"url": "********", "token": "other"}`))
	if err != nil || !strings.Contains(string(next), "other") || !strings.Contains(string(next), `"url":"********"`) {
		t.Errorf("%s, %v", next, err)
	}
}

func TestSchema(t *testing.T) {
	var s struct {
		Properties map[string]struct {
			Type, Description string
			Default           any
			WriteOnly         bool
			Enum              []string
		}
		Required             []string
		AdditionalProperties bool
	}
	if err := json.Unmarshal(kind().Schema(), &s); err != nil {
		t.Fatal(err)
	}
	if p := s.Properties; p["url"].Description != "Where it is" || !p["token"].WriteOnly || p["days"].Default != 90.0 || len(p["mode"].Enum) != 2 || p["places"].Type != "array" || len(s.Required) != 2 || s.AdditionalProperties {
		t.Errorf("%s", kind().Schema())
	}
}

func TestRegistry(t *testing.T) {
	r, err := connector.NewRegistry(kind())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Example", "EXAMPLE", "sample"} {
		if _, ok := r.Kind(name); !ok {
			t.Errorf("%s was not found", name)
		}
	}
	_, err = r.Open(t.Context(), "nope", nil, connector.Env{})
	if unknown, ok := errors.AsType[*connector.UnknownKindError](err); !ok || len(unknown.Known) != 1 {
		t.Errorf("%v", err)
	}
	if _, err := connector.NewRegistry(kind(), kind()); err == nil {
		t.Error("a kind was registered twice")
	}
}

func TestDirVault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	v := connector.DirVault(dir)
	if _, err := v.Get(t.Context(), "key"); !errors.Is(err, connector.ErrNoItem) {
		t.Errorf("%v", err)
	}
	var group sync.WaitGroup
	got := make([]string, 20)
	for i := range got {
		group.Go(func() {
			b, err := v.Create(t.Context(), "key", []byte(fmt.Sprint("value ", i)))
			if err != nil {
				t.Error(err)
			}
			got[i] = string(b)
		})
	}
	group.Wait()
	for _, g := range got {
		if g != got[0] {
			t.Errorf("two writers won: %q and %q", g, got[0])
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, name := range []string{"../escape", "", ".hidden", "a/b"} {
		if _, err := v.Create(t.Context(), name, nil); err == nil {
			t.Errorf("%q was taken as a name", name)
		}
	}
}

package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target"
)

// paper is a target kind that only has paths: the engine itself never deploys.
type paper struct {
	Path  string `json:"path" required:"true"`
	Token string `json:"token"`
}

func (p paper) Stage(context.Context, *target.Bundle) (target.Staged, error) {
	return nil, errors.New("a paper target deploys nothing")
}

func (p paper) Resume(context.Context, json.RawMessage) (target.Staged, error) {
	return nil, errors.New("a paper target deploys nothing")
}
func (p paper) Paths() []string { return []string{p.Path} }

func testTargets(t testing.TB) *connector.Registry[target.Target] {
	t.Helper()
	r, err := connector.NewRegistry(connector.Define("paper", "Paper", func() paper { return paper{} },
		func(_ context.Context, p paper, _ connector.Env) (target.Target, error) { return p, nil }))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

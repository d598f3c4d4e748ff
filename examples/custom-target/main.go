// Command custom-target deploys to a server that certctl knows nothing of: one
// that keeps key and certificate in a single PEM file, and reads it when it is
// told to over a method call. Its connector passes the same suite as ours.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target"
)

// Config of the connector.
type Config struct {
	Path string `json:"path" doc:"The PEM file" required:"true"`
}

// Kind is what a program adds to its registry, beside certctl's own kinds.
func Kind(reload func() error) connector.Kind[target.Target] {
	return connector.Define("single-pem", "Single PEM file", func() Config { return Config{} },
		func(_ context.Context, c Config, _ connector.Env) (target.Target, error) {
			return &single{c.Path, reload}, nil
		})
}

type single struct {
	path   string
	reload func() error
}

// change is a staged deployment: all that it needs is in two paths.
type change struct {
	t    *single
	New  string `json:"new"`
	Kept string `json:"kept"`
}

func (s *single) Current(context.Context) (*x509.Certificate, error) {
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, certs, _ := cut(text)
	b, err := chain.Certificates(certs)
	if err != nil {
		return nil, err
	}
	return b[0], nil
}

func (s *single) Stage(_ context.Context, b *target.Bundle) (target.Staged, error) {
	c := &change{t: s, New: s.path + ".new", Kept: s.path + ".kept"}
	text := append(append([]byte{}, b.KeyPEM...), chain.EncodePEM(append([]*x509.Certificate{b.Leaf}, b.Chain...)...)...)
	old, err := os.ReadFile(s.path)
	if err == nil {
		err = os.WriteFile(c.Kept, old, 0o600)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return c, errors.Join(err, os.WriteFile(c.New, text, 0o600))
}

func (s *single) Resume(_ context.Context, state json.RawMessage) (target.Staged, error) {
	c := &change{t: s}
	return c, json.Unmarshal(state, c)
}

func (c *change) State() json.RawMessage {
	text, err := json.Marshal(c)
	if err != nil { // two texts: it cannot
		return nil
	}
	return text
}

func (c *change) Swap(context.Context) error {
	return errors.Join(os.Rename(c.New, c.t.path), c.t.reload())
}

func (c *change) Rollback(context.Context) error {
	old, err := os.ReadFile(c.Kept)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Remove(c.t.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	} else if err == nil {
		err = os.WriteFile(c.t.path, old, 0o600)
	}
	return errors.Join(err, c.t.reload())
}

func (c *change) Finish(context.Context) error {
	for _, path := range []string{c.New, c.Kept} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// main prints the configuration schema, as forms and documentation get it.
func main() {
	fmt.Printf("%s\n", Kind(func() error { return nil }).Schema())
}

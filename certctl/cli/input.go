package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/certctl/certctl/certctl/api"
	"github.com/urfave/cli/v2"
	"gopkg.in/yaml.v3"
)

// maxInput bounds a file that is read for a request.
const maxInput = 1 << 20

var fileFlag = &cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "JSON or YAML `FILE` with the fields of the API; - is standard input"}

// readFile reads a file, or standard input.
func (s *session) readFile(path string) ([]byte, error) {
	r := s.o.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("%s is larger than %d octets", path, maxInput)
	}
	return text, err
}

// fill decodes the file of --file, if there is one, strictly into v.
func (s *session) fill(c *cli.Context, v any) error {
	path := c.String("file")
	if path == "" {
		return nil
	}
	text, err := s.readFile(path)
	if err != nil {
		return err
	}
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil { // JSON is YAML, too
		return usagef("%s is neither JSON nor YAML: %v", path, err)
	}
	if text, err = json.Marshal(value); err != nil {
		return usagef("%s: %v", path, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return usagef("%s: %v", path, err)
	}
	return nil
}

// set stores a flag's value when it was given.
func set[T any](c *cli.Context, name string, get func(string) T, to *T) {
	if c.IsSet(name) {
		*to = get(name)
	}
}

// setPtr stores a flag's value in an optional field when it was given.
func setPtr[T any](c *cli.Context, name string, get func(string) T, to **T) {
	if c.IsSet(name) {
		v := get(name)
		*to = &v
	}
}

// listFlags are those of every list.
var listFlags = []cli.Flag{
	&cli.IntFlag{Name: "limit", Value: 100, Usage: "show at most so `MANY`; 0: all"},
	&cli.StringFlag{Name: "sort", Usage: "`FIELD`; a hyphen before it turns the order round: --sort=-expires_at"},
}

func listOptions(c *cli.Context) api.ListOptions {
	n := c.Int("limit")
	if n <= 0 || n > 500 {
		n = 500
	}
	return api.ListOptions{PageSize: n, Sort: c.String("sort")}
}

// collect reads an iterator up to --limit.
func collect[T any](c *cli.Context, seq func(func(*T, error) bool)) ([]*T, error) {
	var rows []*T
	limit := c.Int("limit")
	var failed error
	seq(func(row *T, err error) bool {
		if err != nil {
			failed = err
			return false
		}
		rows = append(rows, row)
		return limit <= 0 || len(rows) < limit
	})
	return rows, failed
}

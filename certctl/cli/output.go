package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"gopkg.in/yaml.v3"
)

// column of a table.
type column[T any] struct {
	title string
	cell  func(*T) string
}

// show prints rows in the wanted form.
func show[T any](s *session, c *cli.Context, columns []column[T], name func(*T) string, rows []*T) error {
	switch form := c.String("output"); form {
	case "table":
		w := tabwriter.NewWriter(s.o.Out, 0, 4, 2, ' ', 0)
		titles := make([]string, len(columns))
		for i, col := range columns {
			titles[i] = col.title
		}
		fmt.Fprintln(w, strings.Join(titles, "\t"))
		for _, row := range rows {
			cells := make([]string, len(columns))
			for i, col := range columns {
				cells[i] = plain(col.cell(row))
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
		return w.Flush()
	case "name":
		for _, row := range rows {
			fmt.Fprintln(s.o.Out, name(row))
		}
		return nil
	default:
		if rows == nil {
			rows = []*T{}
		}
		return s.print(form, rows)
	}
}

// showOne prints one row; a table becomes a list of fields.
func showOne[T any](s *session, c *cli.Context, name func(*T) string, row *T) error {
	switch form := c.String("output"); form {
	case "table":
		return s.fields(row)
	case "name":
		_, err := fmt.Fprintln(s.o.Out, name(row))
		return err
	default:
		return s.print(form, row)
	}
}

// print writes JSON or YAML with the field names of the API.
func (s *session) print(form string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	switch form {
	case "json":
		_, err = fmt.Fprintf(s.o.Out, "%s\n", text)
	case "yaml":
		var node yaml.Node
		if err := yaml.Unmarshal(text, &node); err != nil {
			return err
		}
		block(&node)
		e := yaml.NewEncoder(s.o.Out)
		e.SetIndent(2)
		err = e.Encode(&node)
	default:
		err = usagef("--output %q is not table, json, yaml or name", form)
	}
	return err
}

// block turns JSON's flow style into YAML's own.
func block(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		block(c)
	}
}

// fields prints a row as "field: value" lines, in the API's order.
func (s *session) fields(row any) error {
	text, err := json.Marshal(row)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.o.Out, 0, 4, 2, ' ', 0)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s:\t%s\n", key, brief(value))
	}
	return w.Flush()
}

// brief is a value on one line.
func brief(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		if strings.HasPrefix(text, "-----BEGIN") {
			return fmt.Sprintf("(PEM, %d octets; see -o json)", len(text))
		}
		return plain(text)
	}
	var list []string
	if json.Unmarshal(v, &list) == nil {
		return plain(strings.Join(list, ", "))
	}
	return plain(string(v))
}

// plain keeps texts from elsewhere from steering a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, s)
}

// when is a time as people read it: absolute, and how far away.
func (s *session) when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := t.Sub(s.o.Now())
	if d < 0 {
		return t.UTC().Format("2006-01-02 15:04") + " (" + span(-d) + " ago)"
	}
	return t.UTC().Format("2006-01-02 15:04") + " (in " + span(d) + ")"
}

func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	default:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

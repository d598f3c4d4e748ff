package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

// noun is what list and get of one kind of thing need.
type noun[T any] struct {
	what    string
	columns []column[T]
	id      func(*T) string
	filters []cli.Flag
	list    func(context.Context, *client.Client, *cli.Context) iter.Seq2[*T, error]
	get     func(context.Context, *client.Client, string) (*T, error)
}

func (n noun[T]) listCommand(s *session) *cli.Command {
	return &cli.Command{
		Name: "list", Aliases: []string{"ls"}, Usage: "list " + plural(n.what), Flags: append(append([]cli.Flag{}, listFlags...), n.filters...),
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			rows, err := collect(c, n.list(ctx, cl, c))
			if err != nil {
				return err
			}
			return show(s, c, n.columns, n.id, rows)
		},
	}
}

func (n noun[T]) getCommand(s *session) *cli.Command {
	return &cli.Command{
		Name: "get", Usage: "show one " + n.what, ArgsUsage: "ID",
		Action: func(c *cli.Context) error {
			id, err := one(c, "ID")
			if err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			row, err := n.get(ctx, cl, id)
			if err != nil {
				return err
			}
			return showOne(s, c, n.id, row)
		},
	}
}

func plural(what string) string {
	if stem, ok := strings.CutSuffix(what, "y"); ok && !strings.HasSuffix(stem, "e") {
		return stem + "ies"
	}
	return what + "s"
}

// create makes the verb that sends a new R, from --file and from flags.
func create[T, R any](s *session, n noun[T], flags []cli.Flag, fill func(*cli.Context, *R) error, call func(context.Context, *client.Client, R) (*T, error)) *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "create a " + n.what, Flags: append([]cli.Flag{fileFlag}, flags...),
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			var r R
			if err := s.fill(c, &r); err != nil {
				return err
			}
			if err := fill(c, &r); err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			row, err := call(ctx, cl, r)
			if err != nil {
				return err
			}
			return showOne(s, c, n.id, row)
		},
	}
}

// update makes the verb that changes the fields that are given.
func update[T, R any](s *session, n noun[T], flags []cli.Flag, fill func(*cli.Context, *R) error, call func(context.Context, *client.Client, string, R) (*T, error)) *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "change the given fields of a " + n.what, ArgsUsage: "ID", Flags: append([]cli.Flag{fileFlag}, flags...),
		Action: func(c *cli.Context) error {
			id, err := one(c, "ID")
			if err != nil {
				return err
			}
			var r R
			if err := s.fill(c, &r); err != nil {
				return err
			}
			if err := fill(c, &r); err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			row, err := call(ctx, cl, id, r)
			if err != nil {
				return err
			}
			return showOne(s, c, n.id, row)
		},
	}
}

// act makes a verb that does something to one thing and says so.
func act(s *session, name, usage, done string, flags []cli.Flag, call func(context.Context, *client.Client, *cli.Context, string) error) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: "ID", Flags: flags,
		Action: func(c *cli.Context) error {
			id, err := one(c, "ID")
			if err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			if err := call(ctx, cl, c, id); err != nil {
				return err
			}
			if done != "" {
				fmt.Fprintf(s.o.Err, "%s %s.\n", id, done)
			}
			return nil
		},
	}
}

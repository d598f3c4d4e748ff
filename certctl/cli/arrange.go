package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Arrange puts the flags of a command line where the parser wants them: those
// of the application first, then the command, its flags, and its arguments.
// People write them anywhere: "certs renew mc-web --wait -o json". args[0] is
// the program.
func Arrange(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	var global, path, local, rest []string
	commands := app.Commands
	var command *cli.Command
	for i := 1; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i:]...)
			break
		}
		if len(a) > 1 && a[0] == '-' {
			flag, isGlobal := find(app, command, a)
			words := []string{a}
			if takesValue(flag) && !strings.Contains(a, "=") && i+1 < len(args) {
				i++
				words = append(words, args[i])
			}
			if isGlobal {
				global = append(global, words...)
			} else {
				local = append(local, words...)
			}
			continue
		}
		if next := named(commands, a); next != nil && len(rest) == 0 {
			command, commands = next, next.Subcommands
			path = append(path, a)
			continue
		}
		rest = append(rest, a)
	}
	return slices.Concat(args[:1], global, path, local, rest)
}

func named(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// find looks a flag up in the command, then in the application.
func find(app *cli.App, command *cli.Command, word string) (flag cli.Flag, isGlobal bool) {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	if command != nil {
		if f := flagNamed(command.Flags, name); f != nil {
			return f, false
		}
	}
	f := flagNamed(app.Flags, name)
	return f, f != nil
}

func flagNamed(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

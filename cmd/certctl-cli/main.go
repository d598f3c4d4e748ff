// Command certctl-cli requests, deploys, renews and revokes certificates at a
// certctl server.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/certctl/certctl/certctl/cli"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	app := cli.New(cli.Options{Out: os.Stdout, Err: os.Stderr, In: os.Stdin, Version: version, Now: time.Now})
	err := app.RunContext(ctx, cli.Arrange(app, os.Args))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "certctl-cli:", err)
		if hint := cli.Hint(err); hint != "" {
			fmt.Fprintln(os.Stderr, "  next:", hint)
		}
		os.Exit(cli.ExitCode(err))
	}
}

// Command certctl-server is the certctl control plane. "certctl-server dev"
// starts everything on this machine, with a demonstration site, in one process.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := app().RunContext(ctx, os.Args)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "certctl-server:", err)
		os.Exit(exitCode(err))
	}
}

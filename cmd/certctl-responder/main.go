// Command certctl-responder answers OCSP and serves CRLs: for certctl's own CAs
// from its database, or for any CA from its certificate and its CRL.
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
		fmt.Fprintln(os.Stderr, "certctl-responder:", err)
		os.Exit(exitCode(err))
	}
}

// Command ocsp measures OCSP responders over loopback, against the floors of
// their HTTP libraries and against others' responders, in one run, in turns, and
// prints ratios. See docs/revocation.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type settings struct {
	serials     int
	connections int
	rounds      int
	round       time.Duration
	responder   string // path of the standalone binary
	cfssl       string
	only        string
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		exit(serve(os.Args[2], os.Args[3:]))
	}
	var s settings
	flag.IntVar(&s.serials, "serials", 100_000, "how many serials are issued and asked about")
	flag.IntVar(&s.connections, "connections", 32, "how many keep-alive connections ask at once")
	flag.IntVar(&s.rounds, "rounds", 7, "how many turns each server gets")
	flag.DurationVar(&s.round, "round", time.Second, "how long a turn takes")
	flag.StringVar(&s.responder, "responder", "", "path of certctl-responder; built when empty")
	flag.StringVar(&s.cfssl, "cfssl", "", "path of cfssl; looked up in PATH when empty")
	flag.StringVar(&s.only, "only", "", "measure only servers whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, s))
}

func exit(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "ocsp bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

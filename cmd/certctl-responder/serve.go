package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/certctl/certctl/revocation/responder/fast"
	"github.com/urfave/cli/v2"
)

// serve runs a mode: it opens what the configuration names, and serves it until
// the context ends. A reload opens it again; what cannot be opened changes
// nothing.
func serve(open func(*cli.Context, *slog.Logger) (*opened, error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.Args().Len() > 0 {
			return fmt.Errorf("%w: unexpected argument %q", errUsage, c.Args().First())
		}
		if mib := c.Int64("cache-mib"); mib < 0 || mib > 1<<20 {
			return fmt.Errorf("%w: --cache-mib %d is not 0 to %d", errUsage, mib, 1<<20)
		}
		log, err := logger(c, c.App.ErrWriter)
		if err != nil {
			return err
		}
		first, err := open(c, log)
		if err != nil {
			return err
		}
		r := &registry{log: log}
		run, cancel := context.WithCancel(context.WithoutCancel(c.Context))
		defer cancel()
		r.start(run, first)
		defer r.end()

		reload := make(chan os.Signal, 1)
		signal.Notify(reload, reloadSignals()...)
		defer signal.Stop(reload)
		look := time.NewTicker(2 * time.Second)
		defer look.Stop()
		current := first
		return listen(c, r, func(ended <-chan error) error {
			for {
				select {
				case err := <-ended:
					return err
				case <-c.Context.Done():
					return nil
				case <-look.C:
					if current.changed == nil || !current.changed(run) {
						continue
					}
				case <-reload:
				}
				next, err := open(c, log)
				if err != nil {
					log.ErrorContext(run, "the configuration was not reloaded; what was served before is served on", "error", err)
					continue
				}
				r.start(run, next)
				current = next
				log.InfoContext(run, "reloaded", "issuers", len(next.sites))
			}
		})
	}
}

// listen serves both addresses while wait waits.
func listen(c *cli.Context, r *registry, wait func(ended <-chan error) error) error {
	h, err := r.handler(c.Duration("max-age"), c.Duration("client-timeout"), time.Now)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	a := &admin{registry: r, every: int64(c.Int("access-log"))}
	options := fast.Options{Handler: h, Observe: a.observe, Logger: r.log, Read: c.Duration("client-timeout")}
	if a.every > 0 {
		options.Now = time.Now // which only the access log needs
	}
	public, err := fast.New(options)
	if err != nil {
		return err
	}
	private := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	var config net.ListenConfig
	l, err := config.Listen(c.Context, "tcp", c.String("listen"))
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", c.String("listen"), err)
	}
	al, err := config.Listen(c.Context, "tcp", c.String("admin-listen"))
	if err != nil {
		l.Close()
		return fmt.Errorf("cannot listen on %s for /health, /ready and /metrics: %w", c.String("admin-listen"), err)
	}
	ended := make(chan error, 2)
	go func() { ended <- public.Serve(l) }()
	go func() {
		if err := private.Serve(al); !errors.Is(err, http.ErrServerClosed) {
			ended <- err
		}
	}()
	r.log.Info("serving", "pki", "http://"+l.Addr().String(), "admin", "http://"+al.Addr().String())
	failed := wait(ended)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), c.Duration("drain-timeout"))
	defer cancel()
	return errors.Join(failed, public.Shutdown(ctx), private.Shutdown(ctx))
}

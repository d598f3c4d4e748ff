// Package nginx deploys certificates to nginx: files, "nginx -t", and a reload.
//
// nginx reads certificate files at a reload alone, and its workers of before
// finish their connections with the old certificate; so no handshake fails
// while files are swapped.
package nginx

import (
	"context"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target"
	"github.com/certctl/certctl/target/files"
)

// Defaults of an nginx target.
func Defaults() files.Config {
	c := files.Defaults()
	c.ValidateCommand, c.ReloadCommand = files.Argv("nginx", "-t"), files.Argv("nginx", "-s", "reload")
	return c
}

// Open makes a target for a registry.
func Open(ctx context.Context, c files.Config, env connector.Env) (target.Target, error) {
	return files.Open(ctx, c, env)
}

// Kind defines the connector "nginx".
func Kind() connector.Kind[target.Target] {
	return connector.Define("nginx", "NGINX", Defaults, Open)
}

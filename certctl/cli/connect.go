package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

// connect makes the client that the flags describe, and the context that ends
// with --timeout.
func (s *session) connect(c *cli.Context) (*client.Client, context.Context, context.CancelFunc, error) {
	cl, err := s.client(c)
	if err != nil {
		return nil, nil, nil, err
	}
	if c.Duration("timeout") <= 0 {
		return nil, nil, nil, usagef("--timeout must be more than 0")
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	return cl, ctx, cancel, nil
}

func (s *session) client(c *cli.Context) (*client.Client, error) {
	server, key, ca := c.String("server"), c.String("api-key"), c.String("ca-file")
	if path := c.String("api-key-file"); path != "" && key == "" {
		text, err := small(path)
		if err != nil {
			return nil, fmt.Errorf("the API key cannot be read: %w", err)
		}
		key = text
	}
	if server == "" {
		dir := c.String("data-dir")
		url, err := small(filepath.Join(dir, "server.url"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("no server is known: set --server (CERTCTL_SERVER_URL), or --data-dir to the data folder of a server on this machine (%s is none)", dir)
		}
		if err != nil {
			return nil, err
		}
		server = url
		if ca == "" {
			ca = filepath.Join(dir, "ca.pem")
		}
		if key == "" {
			if key, err = small(filepath.Join(dir, "admin.key")); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("the admin key of %s cannot be read: %w", dir, err)
			}
		}
	}
	options := []client.Option{client.WithUserAgent("certctl-cli/" + s.o.Version)}
	if key != "" {
		options = append(options, client.WithAPIKey(key))
	}
	if ca != "" && !strings.HasPrefix(server, "http:") {
		options = append(options, client.WithCAFile(ca))
	}
	return client.New(server, options...)
}

// small reads a file of one line.
func small(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	return strings.TrimSpace(string(text)), err
}

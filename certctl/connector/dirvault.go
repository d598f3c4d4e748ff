package connector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/certctl/certctl/certctl/secret"
)

var itemName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// maxItem bounds a vault item, in octets.
const maxItem = 1 << 20

// DirVault keeps items as files that only their owner can read, in a folder
// that it makes: for programs that have no store. A file that others can read
// is refused.
func DirVault(dir string) Vault { return dirVault(dir) }

type dirVault string

func (d dirVault) path(ctx context.Context, name string) (string, error) {
	if !itemName.MatchString(name) {
		return "", fmt.Errorf("connector: %.80q is no name of a vault item", name)
	}
	return filepath.Join(string(d), name), ctx.Err()
}

func (d dirVault) Get(ctx context.Context, name string) ([]byte, error) {
	path, err := d.path(ctx, name)
	if err != nil {
		return nil, err
	}
	value, err := secret.ReadFile(path, maxItem)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoItem
	}
	return value, err
}

func (d dirVault) Create(ctx context.Context, name string, value []byte) ([]byte, error) {
	path, err := d.path(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(value) > maxItem {
		return nil, fmt.Errorf("connector: a vault item of %d octets is too large; the limit is %d", len(value), maxItem)
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	if err := secret.CreateFile(path, value); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return d.Get(ctx, name)
}

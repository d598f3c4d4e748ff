package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

var itemName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// DirVault keeps items as files that only their owner can read, in a folder
// that it makes: for programs that have no store.
func DirVault(dir string) Vault { return dirVault(dir) }

type dirVault string

func (d dirVault) path(name string) (string, error) {
	if !itemName.MatchString(name) {
		return "", fmt.Errorf("connector: %q is no name of a vault item", name)
	}
	return filepath.Join(string(d), name), nil
}

func (d dirVault) Get(_ context.Context, name string) ([]byte, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoItem
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// Create writes a complete file under another name and links it into place, so
// that nobody ever reads half of one, and the first writer wins.
func (d dirVault) Create(ctx context.Context, name string, value []byte) ([]byte, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(string(d), ".new-*") // made with mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(value)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if folder, err := os.Open(string(d)); err == nil {
		if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
			return nil, err
		}
	}
	return d.Get(ctx, name)
}

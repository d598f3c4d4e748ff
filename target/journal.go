package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Journal remembers deployments that are under way, beyond the death of the
// process.
type Journal interface {
	// Lock keeps deployments to one target apart, in this process and others,
	// until unlock or the process's death. It waits as long as ctx does.
	Lock(ctx context.Context, id string) (unlock func(), err error)
	// Begin stores what is needed to undo a deployment; durable on return.
	Begin(id string, state json.RawMessage) error
	// Pending returns what Begin stored, unless Clear came after it.
	Pending(id string) (state json.RawMessage, ok bool, err error)
	// Clear forgets it; durable on return.
	Clear(id string) error
}

// DirJournal keeps one file a deployment in a folder, which exists.
func DirJournal(dir string) Journal { return dirJournal(dir) }

type dirJournal string

var journalID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func (d dirJournal) path(id string) (string, error) {
	if !journalID.MatchString(id) {
		return "", fmt.Errorf("target: %.80q is no name for a journal entry", id)
	}
	return filepath.Join(string(d), id+".deployment"), nil
}

// Lock implements Journal.
func (d dirJournal) Lock(ctx context.Context, id string) (func(), error) {
	path, err := d.path(id)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		taken, err := tryLock(f)
		if err == nil && taken {
			return func() { f.Close() }, nil // the lock goes with the file
		}
		if err == nil {
			err = wait(ctx, pause)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("another deployment to target %s is under way: %w", id, err)
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Begin implements Journal.
func (d dirJournal) Begin(id string, state json.RawMessage) error {
	path, err := d.path(id)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(string(d), ".journal-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(state)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return d.sync()
}

// Pending implements Journal.
func (d dirJournal) Pending(id string) (json.RawMessage, bool, error) {
	path, err := d.path(id)
	if err != nil {
		return nil, false, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	state, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return state, err == nil, err
}

// Clear implements Journal.
func (d dirJournal) Clear(id string) error {
	path, err := d.path(id)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.sync()
}

func (d dirJournal) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// folderFormat is what this version writes into a data folder's "format" file.
const folderFormat = "certctl data folder, format 1\n"

// folder is a data folder that this process holds alone.
type folder struct {
	dir  string
	lock *os.File
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// openFolder makes or takes a data folder. A folder of another format, or one
// that another process uses, is refused and left as it is.
func openFolder(dir string) (*folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be made: %w; choose another with --data-dir", dir, err)
	}
	f := &folder{dir: dir}
	have, err := os.ReadFile(f.path("format"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := f.refuseForeign(); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("the data folder %s cannot be read: %w", dir, err)
	case string(have) != folderFormat:
		return nil, fmt.Errorf("%s is a data folder of another version (%q; this one writes %q); use the certctl-server that made it, or choose another folder with --data-dir",
			dir, strings.TrimSpace(string(have)), strings.TrimSpace(folderFormat))
	}
	if f.lock, err = lockFile(f.path("lock")); err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be used: %w", dir, err)
	}
	if have == nil {
		if err := writeFile(f.path("format"), []byte(folderFormat), 0o644); err != nil {
			f.Close()
			return nil, fmt.Errorf("the data folder %s cannot be written: %w; choose another with --data-dir", dir, err)
		}
	}
	return f, nil
}

// refuseForeign keeps us from moving into a folder that holds something else.
func (f *folder) refuseForeign() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be read: %w", f.dir, err)
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			return fmt.Errorf("%s is not empty and is no data folder of certctl (it holds %s); choose an empty or a new folder with --data-dir", f.dir, e.Name())
		}
	}
	return nil
}

// has reports whether a file is in the folder.
func (f *folder) has(name string) bool {
	_, err := os.Stat(f.path(name))
	return err == nil
}

// What the folder's "database" file says, once a server has run with it.
const (
	databaseSQLite   = "sqlite\n"
	databasePostgres = "postgres\n"
)

// sameDatabase refuses a folder whose database is elsewhere now: its keys and
// certificates belong to the one that it was used with.
func (f *folder) sameDatabase(postgres bool) error {
	have, err := os.ReadFile(f.path("database"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case postgres && string(have) == databaseSQLite:
		return fmt.Errorf("the data folder %s was used with SQLite, and CERTCTL_DATABASE_URL is set now; choose another folder with --data-dir", f.dir)
	case !postgres && string(have) == databasePostgres:
		return fmt.Errorf("the data folder %s was used with Postgres; set CERTCTL_DATABASE_URL, or choose another folder with --data-dir", f.dir)
	case !postgres && !f.has("certctl.db"):
		return fmt.Errorf("%s is missing; restore it from a backup, or choose another folder with --data-dir", f.path("certctl.db"))
	}
	return nil
}

// Close gives the folder back.
func (f *folder) Close() {
	if f.lock != nil {
		f.lock.Close() // and with it goes the lock
	}
}

// writeFile writes a file that is either whole or absent after a crash.
func writeFile(path string, data []byte, mode os.FileMode) error {
	tmp, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		os.Remove(path + ".tmp")
	}
	return err
}

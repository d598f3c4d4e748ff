package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

const (
	maxFile    = 1 << 20
	tempPrefix = ".tmp-"
)

// validID are the names that a server may make us use in file names.
var validID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func checkID(what, id string) error {
	if !validID.MatchString(id) {
		return fmt.Errorf("the %s ID %.140q is not allowed: letters, digits, dots, underscores and hyphens, beginning with a letter or digit, at most 128", what, id)
	}
	return nil
}

// folder is a private folder. Nothing can be reached through it that is not
// inside, symbolic links included.
type folder struct {
	path string
	root *os.Root
}

// openFolder makes the folder, 0700, if need be. One that others may write to
// is refused: they could put their own keys there.
func openFolder(path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	info, err := root.Stat(".")
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("look at folder %s: %w", path, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		root.Close()
		return nil, fmt.Errorf("folder %s may be written to by other users (mode %04o); an agent keeps keys there: chmod 700 it, or use another folder", path, info.Mode().Perm())
	}
	return &folder{path: path, root: root}, nil
}

func (f *folder) close() error { return f.root.Close() }

// read returns a file's content, and fs.ErrNotExist when there is none.
func (f *folder) read(name string) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Join(f.path, name), err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(f.path, name), err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("read %s: larger than %d bytes", filepath.Join(f.path, name), maxFile)
	}
	return b, nil
}

// write puts content under the name in one step that survives a power cut:
// whoever looks finds the old content or the new, 0600 all the time.
func (f *folder) write(name string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", filepath.Join(f.path, name), err)
		}
	}()
	temp := tempPrefix + rand.Text()
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = f.root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, f.root.Remove(temp))
	}
	return f.sync()
}

// rename moves a file over another in one step that survives a power cut.
func (f *folder) rename(from, to string) error {
	if err := f.root.Rename(from, to); err != nil {
		return fmt.Errorf("in %s: %w", f.path, err)
	}
	return f.sync()
}

// remove deletes a file; that there is none is no error.
func (f *folder) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("in %s: %w", f.path, err)
	}
	return f.sync()
}

// names lists the files, those half written left out.
func (f *folder) names() ([]string, error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", f.path, err)
	}
	defer dir.Close()
	all, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", f.path, err)
	}
	names := all[:0]
	for _, n := range all {
		if !strings.HasPrefix(n, tempPrefix) {
			names = append(names, n)
		}
	}
	return names, nil
}

// sweep removes what a dead process was in the middle of writing.
func (f *folder) sweep() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return fmt.Errorf("list %s: %w", f.path, err)
	}
	defer dir.Close()
	all, err := dir.Readdirnames(-1)
	for _, n := range all {
		if strings.HasPrefix(n, tempPrefix) {
			err = errors.Join(err, f.root.Remove(n))
		}
	}
	return err
}

// sync makes the folder's entries durable.
func (f *folder) sync() error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	dir, err := f.root.Open(".")
	if err != nil {
		return fmt.Errorf("sync %s: %w", f.path, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.path, err)
	}
	return nil
}

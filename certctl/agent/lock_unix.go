//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock takes a lock file that dies with its process. It fails with ErrInUse
// when somebody holds it.
func (f *folder) lock(name string) (unlock func(), err error) {
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", f.path, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("folder %s is %w (%s); give each agent its own folder", f.path, ErrInUse, name)
		}
		return nil, fmt.Errorf("lock %s: %w", filepath.Join(f.path, name), err)
	}
	return func() { file.Close() }, nil
}

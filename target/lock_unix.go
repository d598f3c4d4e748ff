//go:build unix

package target

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes a file for this descriptor; the kernel gives it back when that
// is closed.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

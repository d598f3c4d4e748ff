//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the file for this process; the kernel gives it back when the
// process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.New("another certctl-server is running with it; stop that one, or choose another folder with --data-dir")
		}
		return nil, err
	}
	return f, nil
}

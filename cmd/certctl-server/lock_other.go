//go:build !unix

package main

import "os"

// lockFile opens the file; the database's own lock keeps two servers apart
// where the operating system has no flock.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

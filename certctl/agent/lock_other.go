//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package agent

import (
	"fmt"
	"os"
)

// lock keeps the file open. Systems without flock keep no second process out;
// the fence of each job still does at the server.
func (f *folder) lock(name string) (unlock func(), err error) {
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", f.path, err)
	}
	return func() { file.Close() }, nil
}

//go:build unix

package main

import (
	"os"
	"syscall"
)

// reloadSignals ask to read the configuration again.
func reloadSignals() []os.Signal { return []os.Signal{syscall.SIGHUP} }

//go:build !unix

package main

import "os"

// reloadSignals: there is none here; restart instead.
func reloadSignals() []os.Signal { return nil }

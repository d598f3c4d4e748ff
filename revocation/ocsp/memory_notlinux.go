//go:build unix && !linux

package ocsp

func advise([]byte) {}

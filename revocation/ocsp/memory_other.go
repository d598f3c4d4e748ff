//go:build !unix

package ocsp

func reserve(n int) []byte { return make([]byte, n) }

func giveBack([]byte) {}

//go:build unix

package ocsp

import "syscall"

// reserve takes memory from the system, which is there once it is written to;
// from the heap if there is none.
func reserve(n int) []byte {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	advise(b)
	return b
}

// giveBack returns it, when nobody can refer to it any more.
func giveBack(b []byte) { _ = syscall.Munmap(b) } // the heap's is not, and is collected

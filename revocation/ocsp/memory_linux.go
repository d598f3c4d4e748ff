package ocsp

import "syscall"

// advise asks for large pages: a look-up is anywhere in the memory, and would
// wait for the page tables, too.
func advise(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) } // a system without them does without

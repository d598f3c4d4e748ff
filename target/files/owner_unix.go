//go:build unix

package files

import (
	"io/fs"
	"os"
	"syscall"
)

// ownerOf tells who owns a file.
func ownerOf(i fs.FileInfo) (uid, gid int) {
	if st, ok := i.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}

func chown(f *os.File, uid, gid int) error {
	if uid == os.Geteuid() {
		uid = -1
	}
	if gid == os.Getegid() {
		gid = -1
	}
	if uid < 0 && gid < 0 {
		return nil
	}
	return f.Chown(uid, gid)
}

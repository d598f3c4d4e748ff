//go:build !unix

package files

import (
	"io/fs"
	"os"
)

func ownerOf(fs.FileInfo) (uid, gid int) { return -1, -1 }

func chown(*os.File, int, int) error { return nil }

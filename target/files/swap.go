package files

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/certctl/certctl/target"
)

// examine looks at a live file and the place where its successor goes, and
// refuses what could not work.
func (t *Target) examine(path, mode string, def fs.FileMode, uid, gid int) (part, error) {
	p := part{Path: path, Mode: uint32(def), UID: uid, GID: gid}
	refuse := func(format string, a ...any) (part, error) {
		return part{}, fmt.Errorf("%w: "+format, append([]any{target.ErrRefused}, a...)...)
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if !t.c.FollowSymlinks {
			return refuse("%s is a symbolic link; set follow_symlinks to replace what it points to", path)
		}
		if p.Path, err = filepath.EvalSymlinks(path); err != nil {
			return refuse("the symbolic link %s leads nowhere: %v", path, err)
		}
		info, err = os.Lstat(p.Path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir, err := os.Stat(filepath.Dir(p.Path))
		if err != nil || !dir.IsDir() {
			return refuse("the folder %s does not exist; make it, with the owner and mode that it shall have", filepath.Dir(p.Path))
		}
	case err != nil:
		return refuse("%s cannot be looked at: %v", path, err)
	case !info.Mode().IsRegular():
		return refuse("%s is no regular file (%s)", path, info.Mode().Type())
	default:
		p.Existed, p.Mode = true, uint32(info.Mode().Perm())
		haveUID, haveGID := ownerOf(info)
		if uid < 0 {
			p.UID = haveUID
		}
		if gid < 0 {
			p.GID = haveGID
		}
	}
	if mode != "" {
		m, err := strconv.ParseUint(mode, 8, 32)
		if err != nil {
			return refuse("%q is not an octal mode", mode)
		}
		p.Mode = uint32(m)
	}
	return p, nil
}

// prepare writes the new file beside the live one, and a copy of the live one.
func (t *Target) prepare(p *part, data []byte) error {
	random, err := suffix()
	if err != nil {
		return err
	}
	dir, base := filepath.Split(p.Path)
	p.Temp = dir + "." + base + ".certctl-tmp." + random
	if err := t.write(p.Temp, data, fs.FileMode(p.Mode), p.UID, p.GID); err != nil {
		return err
	}
	if p.Existed {
		old, info, err := t.read(p.Path)
		if err != nil {
			return err
		}
		uid, gid := ownerOf(info)
		backup, err := t.nextBackup(p.Path)
		if err != nil {
			return err
		}
		if err := t.write(backup, old, info.Mode().Perm(), uid, gid); err != nil {
			return err
		}
		p.Backup = backup
	}
	return t.syncDir(dir)
}

func suffix() (string, error) {
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}

// write makes a new, durable file. It is its owner's alone until the end, for
// it may be a key.
func (t *Target) write(path string, data []byte, mode fs.FileMode, uid, gid int) (err error) {
	if err := t.hook("create", path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	steps := []struct {
		op string
		do func() error
	}{
		{"write", func() error { _, err := f.Write(data); return err }},
		{"chown", func() error { return chown(f, uid, gid) }},
		{"chmod", func() error { return f.Chmod(mode) }},
		{"sync", f.Sync},
	}
	for _, s := range steps {
		if err = t.hook(s.op, path); err == nil {
			err = s.do()
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

func (t *Target) rename(from, to string) error {
	if err := t.hook("rename", to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return t.syncDir(filepath.Dir(to))
}

func (t *Target) syncDir(dir string) error {
	if err := t.hook("syncdir", dir); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// discard removes a file of ours, if it is there.
func (t *Target) discard(path string) error {
	if path == "" {
		return nil
	}
	if err := t.hook("remove", path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// restore puts a live file back as it was, and reports whether it had changed.
func (t *Target) restore(p *part) (bool, error) {
	if !p.Existed {
		if _, err := os.Lstat(p.Path); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return true, errors.Join(t.discard(p.Path), t.syncDir(filepath.Dir(p.Path)))
	}
	if p.Backup == "" {
		return false, nil // staging ended before it was needed
	}
	old, info, err := t.read(p.Backup)
	if err != nil {
		return false, err
	}
	if now, _, err := t.read(p.Path); err == nil && bytes.Equal(now, old) {
		return false, nil
	}
	random, err := suffix()
	if err != nil {
		return false, err
	}
	dir, base := filepath.Split(p.Path)
	temp := dir + "." + base + ".certctl-tmp." + random
	uid, gid := ownerOf(info)
	if err := t.write(temp, old, info.Mode().Perm(), uid, gid); err != nil {
		return false, err
	}
	if err := t.rename(temp, p.Path); err != nil {
		return true, errors.Join(err, t.discard(temp))
	}
	return true, nil
}

const backupMark = ".certctl-bak."

// backups lists the copies of a file, oldest first.
func backups(path string) ([]string, error) {
	found, err := filepath.Glob(globEscape(path) + backupMark + "*")
	if err != nil {
		return nil, err
	}
	number := func(name string) int {
		n, err := strconv.Atoi(name[strings.LastIndex(name, ".")+1:])
		if err != nil {
			return -1
		}
		return n
	}
	found = slices.DeleteFunc(found, func(name string) bool { return number(name) < 0 })
	slices.SortFunc(found, func(a, b string) int { return number(a) - number(b) })
	return found, nil
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func (t *Target) nextBackup(path string) (string, error) {
	have, err := backups(path)
	if err != nil {
		return "", err
	}
	next := 1
	if len(have) > 0 {
		last := have[len(have)-1]
		n, err := strconv.Atoi(last[strings.LastIndex(last, ".")+1:])
		if err != nil {
			return "", err
		}
		next = n + 1
	}
	return path + backupMark + strconv.Itoa(next), nil
}

// prune keeps the newest copies of a file.
func (t *Target) prune(path string) error {
	have, err := backups(path)
	if err != nil {
		return err
	}
	var failed error
	for len(have) > t.c.BackupRetention {
		failed = errors.Join(failed, t.discard(have[0]))
		have = have[1:]
	}
	return failed
}

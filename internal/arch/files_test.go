package arch

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"testing"
)

// maxLines is the longest that a Go file written by hand gets; longer ones hold
// more than one thing.
const maxLines = 500

// leftover is what says that a piece of code is not done. One letter of each
// word stands in brackets so that this file does not report itself.
var leftover = regexp.MustCompile(`\b(TO[D]O|FIX[M]E|XX[X])\b|(?i)\bfor no[w]\b|\bnot implemente[d]\b`)

// generated is the line by which Go tools know a generated file.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// private is what belongs to one person's machine: home and working folders,
// and where packages were downloaded from.
var private = []struct {
	re  *regexp.Regexp
	why string
}{
	{regexp.MustCompile(`(^|[^\w.$/-])/(roo[t]|wor[k])/[\w.]`), "absolute path of one machine"},
	{regexp.MustCompile(`(^|[^\w.$/-])/(hom[e]|User[s])/\w+/`), "home folder of one person"},
	{regexp.MustCompile(`[A-Za-z]:\\User[s]\\`), "home folder of one person"},
	{regexp.MustCompile(`"resolve[d]":\s*"https?:`), "download address in a lock file (npm: omit-lockfile-registry-resolved=true)"},
	{regexp.MustCompile(`(?m)^resolve[d] "?https?:`), "download address in a lock file"},
}

// checkGoFile reports what a Go file contains and must not.
func checkGoFile(name string, src []byte) []string {
	if generated.Match(src) {
		return nil
	}
	var found []string
	if n := bytes.Count(src, []byte("\n")); n > maxLines {
		found = append(found, fmt.Sprintf("%s: %d lines, more than %d: split it", name, n, maxLines))
	}
	for _, at := range leftover.FindAllIndex(src, -1) {
		found = append(found, fmt.Sprintf("%s:%d: %q", name, lineOf(src, at[0]), src[at[0]:at[1]]))
	}
	return found
}

// checkPrivate reports what a file of any kind tells about one machine.
func checkPrivate(name string, src []byte) []string {
	if bytes.IndexByte(src, 0) >= 0 { // binary
		return nil
	}
	var found []string
	for _, p := range private {
		for _, at := range p.re.FindAllIndex(src, -1) {
			found = append(found, fmt.Sprintf("%s:%d: %s: %q", name, lineOf(src, at[1]), p.why, src[at[0]:at[1]]))
		}
	}
	return found
}

func lineOf(src []byte, offset int) int { return bytes.Count(src[:offset], []byte("\n")) + 1 }

func TestGoFiles(t *testing.T) {
	eachGoFile(t, func(path string, src []byte) { report(t, checkGoFile(path, src)) })
}

func TestTrackedFiles(t *testing.T) {
	files := trackedFiles(t)
	if len(files) < 10 {
		t.Fatalf("git tracks %d files; the test sees too little", len(files))
	}
	for _, name := range files {
		info, err := os.Lstat(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || !info.Mode().IsRegular() || path.Base(name) == "LICENSE" {
			continue // deleted and not committed yet, or a link
		}
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		report(t, checkPrivate(name, src))
	}
}

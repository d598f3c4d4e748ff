package connector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/certctl/certctl/certctl/connector"
)

func TestDirVault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	v := connector.DirVault(dir)
	if _, err := v.Get(t.Context(), "ca-key"); !errors.Is(err, connector.ErrNoItem) {
		t.Fatalf("before the first: %v", err)
	}
	var wg sync.WaitGroup
	got := make([][]byte, 16)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = v.Create(t.Context(), "ca-key", fmt.Appendf(nil, "value %d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stored, err := v.Get(t.Context(), "ca-key")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range got {
		if !bytes.Equal(g, stored) {
			t.Fatalf("a writer was told %q, stored is %q", g, stored)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "ca-key"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %04o", path, info.Mode(), want)
		}
	}
}

func TestDirVaultRefuses(t *testing.T) {
	dir := t.TempDir()
	v := connector.DirVault(dir)
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden", "x\x00", string(bytes.Repeat([]byte("x"), 65))} {
		if _, err := v.Create(t.Context(), name, nil); err == nil {
			t.Errorf("%q is a name", name)
		}
		if _, err := v.Get(t.Context(), name); err == nil || errors.Is(err, connector.ErrNoItem) {
			t.Errorf("get %q: %v", name, err)
		}
	}
	if _, err := v.Create(t.Context(), "big", make([]byte, 1<<20+1)); err == nil {
		t.Error("more than it can read again")
	}
	if err := os.WriteFile(filepath.Join(dir, "open"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(t.Context(), "open"); err == nil {
		t.Error("a file that everybody can read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Create(ctx, "late", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

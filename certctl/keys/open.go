package keys

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// Open returns the private key that a URI names: "file:/path/to/key.pem", or a
// bare path. A file that others than its owner can read is refused.
func Open(ctx context.Context, uri string) (crypto.Signer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, isFile := strings.CutPrefix(uri, "file:")
	if scheme, _, ok := strings.Cut(path, ":"); ok && !isFile && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\.`) {
		return nil, fmt.Errorf("this build cannot open keys of kind %q; it knows file: alone", scheme)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be opened: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("the private key %s can be read by others (mode %04o); run: chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, err
	}
	key, err := ParsePEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

package files

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/target"
)

// Target is a set of files with the commands around them.
type Target struct {
	c   Config
	out output
	// hook is asked before every file-system operation; its error is that
	// operation's. Tests use it to fail or to die at each one.
	hook func(op, path string) error
}

var (
	_ target.Target    = (*Target)(nil)
	_ target.Inspector = (*Target)(nil)
	_ target.Serving   = (*Target)(nil)
	_ target.PathUser  = (*Target)(nil)
	_ target.Outputter = (*Target)(nil)
)

// New makes a target of a configuration that is valid. hook, which may be nil,
// is called before each file-system operation with its name and path; an error
// makes the operation fail.
func New(c Config, hook func(op, path string) error) *Target {
	if hook == nil {
		hook = func(string, string) error { return nil }
	}
	return &Target{c: c, hook: hook}
}

// Open makes a target for a registry.
func Open(_ context.Context, c Config, _ connector.Env) (target.Target, error) {
	return New(c, nil), nil
}

// Kind defines the connector "files".
func Kind() connector.Kind[target.Target] {
	return connector.Define("files", "Files", Defaults, Open)
}

// Endpoints implements target.Serving.
func (t *Target) Endpoints() []target.Endpoint { return t.c.Endpoints }

// ProbeFor is how long the server may take to serve a new certificate.
func (t *Target) ProbeFor() time.Duration { return time.Duration(t.c.ProbeSeconds) * time.Second }

// Output implements target.Outputter.
func (t *Target) Output() string { return t.out.String() }

// Paths implements target.PathUser.
func (t *Target) Paths() []string {
	paths := []string{t.c.CertPath, t.c.KeyPath}
	if t.c.ChainPath != "" {
		paths = append(paths, t.c.ChainPath)
	}
	return paths
}

// maxFile bounds a live file that is read, in octets.
const maxFile = 1 << 20

func (t *Target) read(path string) ([]byte, fs.FileInfo, error) {
	if err := t.hook("read", path); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d octets", path, maxFile)
	}
	return data, info, err
}

// Current implements target.Inspector: the certificate in place, if its key is
// beside it.
func (t *Target) Current(context.Context) (*x509.Certificate, error) {
	text, _, err := t.read(t.c.CertPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	certs, err := chain.Certificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.c.CertPath, err)
	}
	text, _, err = t.read(t.c.KeyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	key, err := keys.ParsePEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.c.KeyPath, err)
	}
	if !chain.Match(certs[0], key) {
		return nil, fmt.Errorf("%s holds another key than that of the certificate in %s", t.c.KeyPath, t.c.CertPath)
	}
	return certs[0], nil
}

// part is one file of a deployment, as its state keeps it.
type part struct {
	Path    string `json:"path"`   // of the live file, links resolved
	Temp    string `json:"temp"`   // the new one, beside it
	Backup  string `json:"backup"` // of the previous one; empty when there was none
	Existed bool   `json:"existed"`
	Mode    uint32 `json:"mode"`
	UID     int    `json:"uid"`
	GID     int    `json:"gid"`
}

// staged implements target.Staged.
type staged struct {
	t      *Target
	b      *target.Bundle // nil after Resume
	Parts  []part         `json:"parts"`
	Old    string         `json:"old_fingerprint,omitempty"`
	undone bool
	// reloaded: the server was told, and may serve the new files; in doubt, yes.
	reloaded bool
}

// State implements target.Staged.
func (s *staged) State() json.RawMessage {
	text, err := json.Marshal(s)
	if err != nil { // texts and numbers: it cannot
		return nil
	}
	return text
}

// Resume implements target.Target.
func (t *Target) Resume(_ context.Context, state json.RawMessage) (target.Staged, error) {
	s := &staged{t: t, reloaded: true}
	if err := json.Unmarshal(state, s); err != nil {
		return nil, fmt.Errorf("the state of an interrupted deployment cannot be read: %w", err)
	}
	return s, nil
}

// Stage implements target.Target.
func (t *Target) Stage(ctx context.Context, b *target.Bundle) (_ target.Staged, err error) {
	uid, gid, err := t.c.ids()
	if err != nil {
		return nil, err
	}
	s := &staged{t: t, b: b}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.clean())
		}
	}()
	if old, err := t.Current(ctx); err == nil && old != nil {
		s.Old = chain.Fingerprint(old)
	}
	full := append(chain.EncodePEM(b.Leaf), chain.EncodePEM(b.Chain...)...)
	set := []struct {
		path, mode string
		def        fs.FileMode
		data       []byte
	}{
		{t.c.KeyPath, t.c.KeyMode, 0o600, b.KeyPEM}, {t.c.CertPath, t.c.CertMode, 0o644, full},
		{t.c.ChainPath, t.c.CertMode, 0o644, chain.EncodePEM(b.Chain...)},
	}
	if len(b.KeyPEM) == 0 {
		return nil, fmt.Errorf("%w: the private key cannot be written to a file: it is not there as PEM", target.ErrRefused)
	}
	// The server's own test first, on what is live: a configuration that is
	// broken already is found before anything is touched.
	if _, err := os.Stat(t.c.CertPath); err == nil {
		if err := t.run(ctx, "validate", t.c.ValidateCommand, t.environment(b, s.Old)); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			return nil, fmt.Errorf("%w: the server's configuration is broken already, so nothing was touched: %w", target.ErrRefused, err)
		}
	}
	for _, f := range set {
		if f.path == "" {
			continue
		}
		p, err := t.examine(f.path, f.mode, f.def, uid, gid)
		if err != nil {
			return nil, err
		}
		s.Parts = append(s.Parts, p)
		if err := t.prepare(&s.Parts[len(s.Parts)-1], f.data); err != nil {
			return nil, fmt.Errorf("nothing was touched: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Swap implements target.Staged.
func (s *staged) Swap(ctx context.Context) error {
	for _, p := range s.Parts {
		if err := s.t.rename(p.Temp, p.Path); err != nil {
			return fmt.Errorf("the new file cannot be put in place: %w", err)
		}
	}
	env := s.t.environment(s.b, s.Old)
	if err := s.t.run(ctx, "validate", s.t.c.ValidateCommand, env); err != nil {
		return fmt.Errorf("the server does not accept the new files: %w", err)
	}
	if err := s.t.run(ctx, "reload", s.t.c.ReloadCommand, env); err != nil {
		return err
	}
	s.reloaded = true
	return nil
}

// Rollback implements target.Staged.
func (s *staged) Rollback(ctx context.Context) error {
	changed := false
	for i := range s.Parts {
		did, err := s.t.restore(&s.Parts[i])
		changed = changed || did
		if err != nil {
			return fmt.Errorf("%s cannot be put back: %w", s.Parts[i].Path, err)
		}
	}
	s.undone = true
	if !changed && !s.reloaded {
		return nil
	}
	// A server whose reload had failed before still has the old files in
	// memory, and they are back on disk: then a second failure changes nothing.
	if err := s.t.run(ctx, "reload", s.t.c.ReloadCommand, s.t.environment(nil, s.Old)); err != nil && s.reloaded {
		return fmt.Errorf("the previous files are back, but the server does not read them: %w", err)
	}
	return nil
}

// Finish implements target.Staged.
func (s *staged) Finish(context.Context) error {
	err := s.clean()
	for _, p := range s.Parts {
		if s.undone {
			err = errors.Join(err, s.t.discard(p.Backup)) // it equals the live file
			continue
		}
		err = errors.Join(err, s.t.prune(p.Path))
	}
	return err
}

// clean removes the temporaries; after a failed Stage, the backups as well.
func (s *staged) clean() error {
	var failed error
	for _, p := range s.Parts {
		failed = errors.Join(failed, s.t.discard(p.Temp))
	}
	return failed
}

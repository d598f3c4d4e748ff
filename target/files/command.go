package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/command"
	"github.com/certctl/certctl/target"
)

// maxOutput of all commands of a deployment is kept, in octets.
const maxOutput = 64 << 10

// output keeps what commands print, up to a limit.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if left := maxOutput - o.buf.Len(); left > 0 {
		o.buf.Write(p[:min(len(p), left)])
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.ToValidUTF8(o.buf.String(), "�")
}

// environment is all that commands get to see: values from certificates reach
// them in no other way.
func (t *Target) environment(b *target.Bundle, old string) []string {
	env := []string{"CERTCTL_CERT_PATH=" + t.c.CertPath, "CERTCTL_KEY_PATH=" + t.c.KeyPath, "CERTCTL_CHAIN_PATH=" + t.c.ChainPath,
		"CERTCTL_OLD_FINGERPRINT=" + old}
	if b != nil {
		env = append(env, "CERTCTL_CERTIFICATE_ID="+b.CertificateID, "CERTCTL_NAMES="+strings.Join(b.Names, ","),
			"CERTCTL_SERIAL="+b.Leaf.SerialNumber.Text(16), "CERTCTL_FINGERPRINT="+chain.Fingerprint(b.Leaf))
	}
	return env
}

// run runs a command to its end, or kills it and its children.
func (t *Target) run(ctx context.Context, what string, c Command, env []string) error {
	if c.IsZero() {
		return nil
	}
	limit := time.Duration(t.c.CommandTimeoutSeconds) * time.Second
	argv := c.argv
	if t.c.Shell {
		argv = []string{"/bin/sh", "-c", c.text}
	}
	result, err := command.Run(ctx, command.Spec{Argv: argv, Env: env, Limit: limit, Mixed: true, MaxOutput: maxOutput})
	_, _ = t.out.Write(result.Output) // never fails
	if err == nil {
		return nil
	}
	said := strings.ToValidUTF8(strings.TrimSpace(string(result.Output)), "�")
	if len(said) > 1000 {
		said = "…" + said[len(said)-1000:]
	}
	if said != "" {
		said = ": " + said
	}
	switch {
	case errors.Is(err, command.ErrTime):
		return fmt.Errorf("the %s command %q was killed after %s%s", what, command.Words(argv), limit, said)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("the %s command cannot be run: there is no program %q on this host", what, argv[0])
	}
	return fmt.Errorf("the %s command %q failed (%w)%s", what, command.Words(argv), err, said)
}

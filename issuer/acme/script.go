package acme

import (
	"context"
	"fmt"
	"strings"

	"github.com/certctl/certctl/certctl/command"
	"github.com/certctl/certctl/issuer"
)

// script writes records by commands of the operator. They see CERTCTL_DOMAIN (the
// name that is validated), CERTCTL_FQDN (the record's name, aliases followed,
// absolute), CERTCTL_VALUE (its text), CERTCTL_TOKEN and CERTCTL_CHALLENGE (its
// type), and certbot's names for the first and third of them, CERTBOT_DOMAIN and
// CERTBOT_VALIDATION.
type script struct{ present, cleanup []string }

func (s *script) set(ctx context.Context, r record) error { return s.run(ctx, s.present, r) }

func (s *script) remove(ctx context.Context, r record) error {
	if len(s.cleanup) == 0 {
		return nil
	}
	return s.run(ctx, s.cleanup, r)
}

func (s *script) run(ctx context.Context, argv []string, r record) error {
	result, err := command.Run(ctx, command.Spec{Argv: argv, Limit: cleanupTime, Mixed: true, Env: []string{
		"CERTCTL_DOMAIN=" + r.task.name, "CERTCTL_FQDN=" + r.name, "CERTCTL_VALUE=" + r.value,
		"CERTCTL_TOKEN=" + r.task.Token, "CERTCTL_CHALLENGE=" + r.task.Type,
		"CERTBOT_DOMAIN=" + r.task.name, "CERTBOT_VALIDATION=" + r.value,
	}})
	if err == nil {
		return nil
	}
	said := issuer.Clip(strings.ToValidUTF8(string(result.Output), " "))
	if said == "" {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return fmt.Errorf("%s: %w: %s", argv[0], err, said)
}

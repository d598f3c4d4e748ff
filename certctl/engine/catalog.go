package engine

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/policy"
)

func isNotFound(err error) bool { return errors.Is(err, certctl.ErrNotFound) }

// Catalog is the use cases of an entity that people simply keep: create,
// change, delete, each audited.
type Catalog[T, F any] struct {
	e      *Engine
	kind   string
	prefix string
	repo   func(certctl.Tx) certctl.Repo[T, F]
	key    func(*T) (id *string, meta *certctl.Meta)
	check  func(context.Context, certctl.Reader, *T) ([]certctl.Problem, error)
}

// Create checks and inserts a row, making an ID when it has none.
func (c *Catalog[T, F]) Create(ctx context.Context, row *T) error {
	id, _ := c.key(row)
	if *id == "" {
		*id = certctl.NewID(c.prefix, c.e.now())
	}
	if !certctl.ValidID(*id) {
		return certctl.Invalid(c.kind, certctl.Problem{Field: "id", Message: "must be 1 to 128 letters, digits, dots, underscores or hyphens"})
	}
	return c.e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		if err := c.judge(ctx, tx, row); err != nil {
			return err
		}
		if err := c.repo(tx).Insert(ctx, row); err != nil {
			return err
		}
		tx.Nudge(certctl.TopicConfig)
		return audit(ctx, tx, c.kind+"_created", c.kind, *id, nil)
	})
}

// Update applies change to the stored row; ifMatch 0 skips the comparison.
func (c *Catalog[T, F]) Update(ctx context.Context, id string, ifMatch int64, change func(*T) error) (*T, error) {
	var out *T
	err := c.e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		row, err := c.repo(tx).Get(ctx, id)
		if err != nil {
			return err
		}
		_, meta := c.key(row)
		if err := checkMatch(c.kind, id, meta.Revision, ifMatch); err != nil {
			return err
		}
		if err := change(row); err != nil {
			return err
		}
		if err := c.judge(ctx, tx, row); err != nil {
			return err
		}
		out = row
		tx.Nudge(certctl.TopicConfig)
		if err := c.repo(tx).Update(ctx, row); err != nil {
			return err
		}
		return audit(ctx, tx, c.kind+"_updated", c.kind, id, nil)
	})
	return out, err
}

// Delete removes a row that nothing refers to; ErrConflict otherwise.
func (c *Catalog[T, F]) Delete(ctx context.Context, id string, ifMatch int64) error {
	return c.e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		row, err := c.repo(tx).Get(ctx, id)
		if err != nil {
			return err
		}
		_, meta := c.key(row)
		if err := checkMatch(c.kind, id, meta.Revision, ifMatch); err != nil {
			return err
		}
		tx.Nudge(certctl.TopicConfig)
		if err := c.repo(tx).Delete(ctx, id); err != nil {
			return err
		}
		return audit(ctx, tx, c.kind+"_deleted", c.kind, id, nil)
	})
}

func (c *Catalog[T, F]) judge(ctx context.Context, tx certctl.Tx, row *T) error {
	problems, err := c.check(ctx, tx.Reader(), row)
	if err != nil {
		return err
	}
	return certctl.Invalid(c.kind, problems...)
}

func nameProblems(name string) []certctl.Problem {
	if strings.TrimSpace(name) == "" || len(name) > 255 {
		return []certctl.Problem{{Field: "name", Message: "must be 1 to 255 characters"}}
	}
	return nil
}

// Teams group owners.
func (e *Engine) Teams() *Catalog[certctl.Team, certctl.NameFilter] {
	return &Catalog[certctl.Team, certctl.NameFilter]{
		e: e, kind: "team", prefix: certctl.PrefixTeam,
		repo: func(tx certctl.Tx) certctl.Repo[certctl.Team, certctl.NameFilter] { return tx.Teams() },
		key:  func(t *certctl.Team) (*string, *certctl.Meta) { return &t.ID, &t.Meta },
		check: func(_ context.Context, _ certctl.Reader, t *certctl.Team) ([]certctl.Problem, error) {
			return nameProblems(t.Name), nil
		},
	}
}

// Owners answer for certificates.
func (e *Engine) Owners() *Catalog[certctl.Owner, certctl.NameFilter] {
	return &Catalog[certctl.Owner, certctl.NameFilter]{
		e: e, kind: "owner", prefix: certctl.PrefixOwner,
		repo: func(tx certctl.Tx) certctl.Repo[certctl.Owner, certctl.NameFilter] { return tx.Owners() },
		key:  func(o *certctl.Owner) (*string, *certctl.Meta) { return &o.ID, &o.Meta },
		check: func(ctx context.Context, r certctl.Reader, o *certctl.Owner) ([]certctl.Problem, error) {
			problems := nameProblems(o.Name)
			if o.Email != "" {
				if _, err := mail.ParseAddress(o.Email); err != nil {
					problems = append(problems, certctl.Problem{Field: "email", Message: "is not an e-mail address"})
				}
			}
			if o.TeamID != "" {
				_, err := r.Teams().Get(ctx, o.TeamID)
				if err := orProblem(err, "team_id", "no such team: "+o.TeamID, &problems); err != nil {
					return nil, err
				}
			}
			return problems, nil
		},
	}
}

// Profiles say what a certificate may be.
func (e *Engine) Profiles() *Catalog[certctl.Profile, certctl.NameFilter] {
	return &Catalog[certctl.Profile, certctl.NameFilter]{
		e: e, kind: "profile", prefix: certctl.PrefixProfile,
		repo: func(tx certctl.Tx) certctl.Repo[certctl.Profile, certctl.NameFilter] { return tx.Profiles() },
		key:  func(p *certctl.Profile) (*string, *certctl.Meta) { return &p.ID, &p.Meta },
		check: func(_ context.Context, _ certctl.Reader, p *certctl.Profile) ([]certctl.Problem, error) {
			return append(nameProblems(p.Name), policy.CheckProfile(p)...), nil
		},
	}
}

// RenewalPolicies say when certificates are renewed.
func (e *Engine) RenewalPolicies() *Catalog[certctl.RenewalPolicy, certctl.NameFilter] {
	return &Catalog[certctl.RenewalPolicy, certctl.NameFilter]{
		e: e, kind: "renewal_policy", prefix: certctl.PrefixRenewalPolicy,
		repo: func(tx certctl.Tx) certctl.Repo[certctl.RenewalPolicy, certctl.NameFilter] {
			return tx.RenewalPolicies()
		},
		key: func(p *certctl.RenewalPolicy) (*string, *certctl.Meta) { return &p.ID, &p.Meta },
		check: func(_ context.Context, _ certctl.Reader, p *certctl.RenewalPolicy) ([]certctl.Problem, error) {
			return append(nameProblems(p.Name), policy.CheckRenewalPolicy(p)...), nil
		},
	}
}

// DefaultRenewalPolicy is the ID of the policy that certificates get when
// nobody names one.
const DefaultRenewalPolicy = "rp-default"

// EnsureDefaults creates the default renewal policy unless it is there.
func (e *Engine) EnsureDefaults(ctx context.Context) error {
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		_, err := r.RenewalPolicies().Get(ctx, DefaultRenewalPolicy)
		return err
	})
	if !isNotFound(err) {
		return err
	}
	err = e.RenewalPolicies().Create(ctx, &certctl.RenewalPolicy{
		ID: DefaultRenewalPolicy, Name: "default", AutoRenew: true, RemainingFraction: 1.0 / 3,
		MaxRetries: 3, RetryInterval: time.Hour, AlertThresholdsDays: []int{30, 14, 7, 0},
	})
	if errors.Is(err, certctl.ErrConflict) { // another replica was first
		return nil
	}
	return err
}

package engine

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/secret"
)

var errNoCredential = certctl.Errorf(certctl.ErrUnauthenticated,
	"the API key is missing, unknown, expired or revoked; send a valid one as 'Authorization: Bearer KEY'")

// Authenticate returns who a bearer token belongs to. It answers alike for
// every bad token; ErrGone only for the credential of a retired agent.
func (e *Engine) Authenticate(ctx context.Context, token string) (certctl.Actor, error) {
	if token == "" || len(token) > 512 {
		return certctl.Actor{}, errNoCredential
	}
	hash := secret.HashToken(token)
	var key *certctl.APIKey
	var now time.Time
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		now = r.Now()
		key, err = first(ctx, r.APIKeys(), certctl.APIKeyFilter{Hash: hash})
		if err != nil || key == nil || key.AgentID == "" {
			return err
		}
		agent, err := r.Agents().Get(ctx, key.AgentID)
		if err == nil && !agent.RetiredAt.IsZero() {
			return certctl.Errorf(certctl.ErrGone, "agent %s was retired: %s", agent.ID, agent.RetiredWhy)
		}
		return err
	})
	if err != nil {
		return certctl.Actor{}, err
	}
	if key == nil || !usable(key, hash, now) {
		return certctl.Actor{}, errNoCredential
	}
	e.touch(ctx, key, now)
	a := certctl.Actor{ID: key.ID, Name: key.Name, Type: certctl.ActorAPIKey, Role: key.Role, AgentID: key.AgentID}
	if key.AgentID != "" {
		a.ID, a.Type = key.AgentID, certctl.ActorAgent
	}
	return a, nil
}

func usable(k *certctl.APIKey, hash string, now time.Time) bool {
	if !k.RevokedAt.IsZero() || (!k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)) {
		return false
	}
	return k.Hash == hash || (k.OldHash == hash && now.Before(k.OldUntil))
}

// touch writes down, at most once a minute and replica, that a key was used.
func (e *Engine) touch(ctx context.Context, key *certctl.APIKey, now time.Time) {
	if last, ok := e.touched.Load(key.ID); ok && now.Sub(last.(time.Time)) < time.Minute {
		return
	}
	e.touched.Store(key.ID, now)
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		k, err := tx.APIKeys().Get(ctx, key.ID)
		if err != nil {
			return err
		}
		k.LastUsedAt = now
		return tx.APIKeys().Update(ctx, k)
	})
	if err != nil {
		e.log.WarnContext(ctx, "last use of an API key was not written", "key", key.ID, "error", err)
	}
}

// CreateAPIKey makes a key for a person or program and returns its secret,
// which is shown this once.
func (e *Engine) CreateAPIKey(ctx context.Context, in APIKeyInput) (string, *certctl.APIKey, error) {
	problems := nameProblems(in.Name)
	switch in.Role {
	case certctl.RoleAdmin, certctl.RoleOperator, certctl.RoleViewer:
	case certctl.RoleAgent:
		problems = append(problems, certctl.Problem{Field: "role", Message: "agents get their credential by joining: create a join token"})
	default:
		problems = append(problems, certctl.Problem{Field: "role", Message: "must be admin, operator or viewer"})
	}
	if in.TTL < 0 {
		problems = append(problems, certctl.Problem{Field: "ttl_seconds", Message: "must not be negative"})
	}
	if err := certctl.Invalid("API key", problems...); err != nil {
		return "", nil, err
	}
	token, hash := secret.NewToken("cck")
	key := &certctl.APIKey{
		ID: certctl.NewID(certctl.PrefixAPIKey, e.now()), Name: in.Name, Role: in.Role,
		Hash: hash, CreatedBy: certctl.ActorFrom(ctx).ID,
	}
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		if in.TTL > 0 {
			key.ExpiresAt = tx.Now().Add(in.TTL)
		}
		if err := tx.APIKeys().Insert(ctx, key); err != nil {
			return err
		}
		return audit(ctx, tx, "api_key_created", "api_key", key.ID, details{"name": key.Name, "role": key.Role})
	})
	if err != nil {
		return "", nil, err
	}
	return token, key, nil
}

// RotateAPIKey gives a key a new secret; the old one works for overlap longer
// (at most 7 days).
func (e *Engine) RotateAPIKey(ctx context.Context, id string, overlap time.Duration) (string, *certctl.APIKey, error) {
	if overlap < 0 || overlap > 7*24*time.Hour {
		return "", nil, certctl.Invalid("rotation", certctl.Problem{Field: "overlap_seconds", Message: "must be 0 to 604800 (7 days)"})
	}
	prefix := "cck"
	token, hash := secret.NewToken(prefix)
	var key *certctl.APIKey
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if key, err = tx.APIKeys().Get(ctx, id); err != nil {
			return err
		}
		return e.rotate(ctx, tx, key, hash, overlap)
	})
	if err != nil {
		return "", nil, err
	}
	return token, key, nil
}

func (e *Engine) rotate(ctx context.Context, tx certctl.Tx, key *certctl.APIKey, hash string, overlap time.Duration) error {
	if !key.RevokedAt.IsZero() {
		return certctl.Errorf(certctl.ErrConflict, "key %s was revoked and cannot be rotated; create a new one", key.ID)
	}
	key.OldHash, key.OldUntil = key.Hash, tx.Now().Add(overlap)
	if overlap == 0 {
		key.OldHash, key.OldUntil = "", time.Time{}
	}
	key.Hash = hash
	if err := tx.APIKeys().Update(ctx, key); err != nil {
		return err
	}
	return audit(ctx, tx, "api_key_rotated", "api_key", key.ID, details{"overlap_seconds": int64(overlap.Seconds())})
}

// RevokeAPIKey ends a key at once. Revoking twice is no error.
func (e *Engine) RevokeAPIKey(ctx context.Context, id string) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		key, err := tx.APIKeys().Get(ctx, id)
		if err != nil || !key.RevokedAt.IsZero() {
			return err
		}
		key.RevokedAt = tx.Now()
		if err := tx.APIKeys().Update(ctx, key); err != nil {
			return err
		}
		return audit(ctx, tx, "api_key_revoked", "api_key", key.ID, nil)
	})
}

// EnsureAPIKey makes the key with the given secret exist, for a first
// administrator whose key is kept in a file or in the environment.
func (e *Engine) EnsureAPIKey(ctx context.Context, name string, role certctl.Role, token string) error {
	hash := secret.HashToken(token)
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		known, err := first(ctx, tx.Reader().APIKeys(), certctl.APIKeyFilter{Hash: hash})
		if err != nil || known != nil {
			return err
		}
		named, err := first(ctx, tx.Reader().APIKeys(), certctl.APIKeyFilter{Names: []string{name}})
		if err != nil {
			return err
		}
		if named != nil {
			return certctl.Errorf(certctl.ErrConflict, "an API key named %q exists with another secret; rotate or revoke it first", name)
		}
		key := &certctl.APIKey{ID: certctl.NewID(certctl.PrefixAPIKey, tx.Now()), Name: name, Role: role, Hash: hash, CreatedBy: "system"}
		if err := tx.APIKeys().Insert(ctx, key); err != nil {
			return err
		}
		return audit(ctx, tx, "api_key_created", "api_key", key.ID, details{"name": name, "role": role})
	})
}

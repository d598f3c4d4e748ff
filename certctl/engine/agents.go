package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/secret"
)

// CreateJoinToken makes a token with which one agent can join, once. The
// token is returned this once; the store keeps a hash.
func (e *Engine) CreateJoinToken(ctx context.Context, in JoinTokenInput) (string, *certctl.JoinToken, error) {
	ttl := cmp.Or(in.TTL, time.Hour)
	var problems []certctl.Problem
	if ttl < time.Minute || ttl > 7*24*time.Hour {
		problems = append(problems, certctl.Problem{Field: "ttl_seconds", Message: "must be 60 to 604800 (7 days)"})
	}
	if len(in.AgentName) > 128 {
		problems = append(problems, certctl.Problem{Field: "agent_name", Message: "must be at most 128 characters"})
	}
	if err := certctl.Invalid("join token", problems...); err != nil {
		return "", nil, err
	}
	token, hash := secret.NewToken("ccj")
	jt := &certctl.JoinToken{
		ID: certctl.NewID(certctl.PrefixJoinToken, e.now()), Hash: hash, AgentName: in.AgentName, CreatedBy: certctl.ActorFrom(ctx).ID,
	}
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		jt.ExpiresAt = tx.Now().Add(ttl)
		if err := tx.JoinTokens().Insert(ctx, jt); err != nil {
			return err
		}
		return audit(ctx, tx, "join_token_created", "join_token", jt.ID, details{"agent_name": jt.AgentName, "expires_at": jt.ExpiresAt})
	})
	if err != nil {
		return "", nil, err
	}
	return token, jt, nil
}

// RevokeJoinToken ends an unused token.
func (e *Engine) RevokeJoinToken(ctx context.Context, id string) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		jt, err := tx.JoinTokens().Get(ctx, id)
		if err != nil || !jt.RevokedAt.IsZero() {
			return err
		}
		if !jt.UsedAt.IsZero() {
			return certctl.Errorf(certctl.ErrConflict, "join token %s was used by agent %s already; retire that agent instead", id, jt.UsedBy)
		}
		jt.RevokedAt = tx.Now()
		if err := tx.JoinTokens().Update(ctx, jt); err != nil {
			return err
		}
		return audit(ctx, tx, "join_token_revoked", "join_token", id, nil)
	})
}

// Join makes an agent out of a join token, with a credential of its own, which
// is returned this once. ErrUnauthenticated for a token that is unknown, used,
// expired or revoked; such an attempt with a known token is audited.
func (e *Engine) Join(ctx context.Context, token string, f AgentFacts) (*certctl.Agent, string, error) {
	credential, hash := secret.NewToken("cca")
	var agent *certctl.Agent
	var refused *certctl.JoinToken
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		refused = nil
		jt, err := first(ctx, tx.Reader().JoinTokens(), certctl.JoinTokenFilter{Hash: secret.HashToken(token)})
		if err != nil {
			return err
		}
		now := tx.Now()
		if jt == nil || !jt.UsedAt.IsZero() || !jt.RevokedAt.IsZero() || !now.Before(jt.ExpiresAt) {
			refused = jt
			return certctl.Errorf(certctl.ErrUnauthenticated,
				"the join token is unknown, expired, revoked or was used already; ask an operator for a new one (certctl-cli agents join-token create)")
		}
		name := cmp.Or(jt.AgentName, f.Name, f.Hostname)
		if err := certctl.Invalid("agent", nameProblems(name)...); err != nil {
			return err
		}
		agent = &certctl.Agent{
			ID: certctl.NewID(certctl.PrefixAgent, now), Name: name, Status: certctl.AgentOnline, RegisteredAt: now, LastHeartbeatAt: now,
			Hostname: f.Hostname, OS: f.OS, Architecture: f.Architecture, Version: f.Version, IPAddress: f.IPAddress,
		}
		if err := tx.Agents().Insert(ctx, agent); err != nil {
			return err
		}
		key := &certctl.APIKey{
			ID: certctl.NewID(certctl.PrefixAPIKey, now), Name: "agent " + agent.ID, Role: certctl.RoleAgent,
			AgentID: agent.ID, Hash: hash, CreatedBy: jt.CreatedBy,
		}
		if err := tx.APIKeys().Insert(ctx, key); err != nil {
			return err
		}
		jt.UsedAt, jt.UsedBy = now, agent.ID
		if err := tx.JoinTokens().Update(ctx, jt); err != nil {
			return err
		}
		if err := audit(ctx, tx, "agent_joined", "agent", agent.ID, details{"name": name, "hostname": f.Hostname, "join_token_id": jt.ID}); err != nil {
			return err
		}
		return tx.Emit(ctx, certctl.AgentChanged{AgentID: agent.ID, To: agent.Status})
	})
	if refused != nil {
		e.auditRefusedJoin(ctx, refused, f)
	}
	if err != nil {
		return nil, "", err
	}
	return agent, credential, nil
}

func (e *Engine) auditRefusedJoin(ctx context.Context, jt *certctl.JoinToken, f AgentFacts) {
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		return audit(ctx, tx, "join_refused", "join_token", jt.ID, details{
			"used_by": jt.UsedBy, "hostname": clip(f.Hostname, 255), "ip_address": f.IPAddress,
		})
	})
	if err != nil {
		e.log.ErrorContext(ctx, "a refused join was not audited", "join_token", jt.ID, "error", err)
	}
}

// RotateAgentCredential gives an agent a new credential; the old one works for
// ten more minutes, in case the answer is lost.
func (e *Engine) RotateAgentCredential(ctx context.Context, agentID string) (string, time.Time, error) {
	credential, hash := secret.NewToken("cca")
	var until time.Time
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		key, err := e.agentKey(ctx, tx, agentID)
		if err != nil {
			return err
		}
		if err := e.rotate(ctx, tx, key, hash, 10*time.Minute); err != nil {
			return err
		}
		until = key.OldUntil
		return nil
	})
	return credential, until, err
}

func (e *Engine) agentKey(ctx context.Context, tx certctl.Tx, agentID string) (*certctl.APIKey, error) {
	valid := false
	key, err := first(ctx, tx.Reader().APIKeys(), certctl.APIKeyFilter{AgentIDs: []string{agentID}, Revoked: &valid})
	if err == nil && key == nil {
		return nil, certctl.Errorf(certctl.ErrNotFound, "agent %s has no valid credential", agentID)
	}
	return key, err
}

// RetireAgent ends an agent: its credential stops working at once, its targets
// are retired. With certificates or jobs on it that takes force and a reason.
func (e *Engine) RetireAgent(ctx context.Context, id string, force bool, reason string) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		a, err := tx.Agents().Get(ctx, id)
		if err != nil || !a.RetiredAt.IsZero() {
			return err
		}
		active := false
		targets, err := all(ctx, tx.Targets(), certctl.TargetFilter{AgentIDs: []string{id}, Retired: &active})
		if err != nil {
			return err
		}
		jobs, err := all(ctx, tx.Reader().Jobs(), certctl.JobFilter{AgentIDs: []string{id}, Statuses: liveStatuses()})
		if err != nil {
			return err
		}
		certs, err := tx.Certificates().Count(ctx, certctl.CertificateFilter{AgentIDs: []string{id}})
		if err != nil {
			return err
		}
		if (len(targets) > 0 || len(jobs) > 0 || certs > 0) && (!force || reason == "") {
			return certctl.Errorf(certctl.ErrConflict,
				"agent %s has %d active targets, %d active certificates and %d pending jobs; retire it with force and a reason", id, len(targets), certs, len(jobs))
		}
		for _, j := range jobs {
			if err := e.abandon(ctx, tx, j, certctl.JobFailed, "agent "+id+" was retired"); err != nil {
				return err
			}
		}
		if err := e.retireTargets(ctx, tx, targets, reason); err != nil {
			return err
		}
		if key, err := e.agentKey(ctx, tx, id); err == nil {
			key.RevokedAt = tx.Now()
			if err := tx.APIKeys().Update(ctx, key); err != nil {
				return err
			}
		}
		from := a.Status
		a.Status, a.StatusReason, a.RetiredAt, a.RetiredWhy = certctl.AgentRetired, reason, tx.Now(), reason
		if err := tx.Agents().Update(ctx, a); err != nil {
			return err
		}
		if err := audit(ctx, tx, "agent_retired", "agent", id, details{"reason": reason, "force": force}); err != nil {
			return err
		}
		return tx.Emit(ctx, certctl.AgentChanged{AgentID: id, From: from, To: a.Status, Reason: reason})
	})
}

func (e *Engine) retireTargets(ctx context.Context, tx certctl.Tx, targets []*certctl.Target, reason string) error {
	for _, t := range targets {
		bindings, err := all(ctx, tx.Bindings(), certctl.BindingFilter{TargetIDs: []string{t.ID}})
		if err != nil {
			return err
		}
		for _, b := range bindings {
			if err := tx.Bindings().Delete(ctx, b.ID); err != nil {
				return err
			}
		}
		t.RetiredAt, t.RetiredWhy, t.Enabled = tx.Now(), "its agent was retired: "+reason, false
		if err := tx.Targets().Update(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// maxSkew is how far an agent's clock may be off before it counts as Degraded:
// half of it eats the backdating of NotBefore.
const maxSkew = 5 * time.Minute

// Heartbeat notes that an agent lives.
func (e *Engine) Heartbeat(ctx context.Context, agentID string, f AgentFacts) (*certctl.Agent, error) {
	var a *certctl.Agent
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if a, err = tx.Agents().Get(ctx, agentID); err != nil {
			return err
		}
		if !a.RetiredAt.IsZero() {
			return certctl.Errorf(certctl.ErrGone, "agent %s was retired: %s", agentID, a.RetiredWhy)
		}
		from := a.Status
		a.Status, a.StatusReason, a.LastHeartbeatAt = certctl.AgentOnline, "", tx.Now()
		a.Hostname, a.OS, a.Architecture = cmp.Or(f.Hostname, a.Hostname), cmp.Or(f.OS, a.OS), cmp.Or(f.Architecture, a.Architecture)
		a.Version, a.IPAddress = cmp.Or(f.Version, a.Version), cmp.Or(f.IPAddress, a.IPAddress)
		if !f.Clock.IsZero() {
			a.ClockSkewMillis = f.Clock.Sub(tx.Now()).Milliseconds()
		}
		skew := time.Duration(a.ClockSkewMillis) * time.Millisecond
		switch {
		case f.Problem != "":
			a.Status, a.StatusReason = certctl.AgentDegraded, clip(f.Problem, 1024)
		case skew.Abs() > maxSkew:
			a.Status, a.StatusReason = certctl.AgentDegraded, fmt.Sprintf("its clock is %s off; set up NTP on its host", skew.Round(time.Second))
		}
		if err := tx.Agents().Update(ctx, a); err != nil || from == a.Status {
			return err
		}
		return tx.Emit(ctx, certctl.AgentChanged{AgentID: agentID, From: from, To: a.Status, Reason: a.StatusReason})
	})
	return a, err
}

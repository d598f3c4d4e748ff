package engine

import (
	"context"
	"slices"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/target"
)

// TargetKinds lists the kinds that can be configured.
func (e *Engine) TargetKinds() []KindInfo { return kinds(e.targets) }

// CreateTarget configures a place to deploy to, reached by an agent.
func (e *Engine) CreateTarget(ctx context.Context, in ConnectorInput) (*certctl.Target, error) {
	kind, ok := e.targets.Kind(in.Type)
	if !ok {
		return nil, unknownKind("type", in.Type, e.targets.Names())
	}
	row := &certctl.Target{
		ID: in.ID, Name: in.Name, Type: kind.Name(), AgentID: in.AgentID, Source: "database",
		Enabled: in.Enabled == nil || *in.Enabled, TestStatus: certctl.TestUntested,
	}
	if err := e.identify(&row.ID, certctl.PrefixTarget, row.Name); err != nil {
		return nil, err
	}
	if err := e.configureTarget(ctx, row, in); err != nil {
		return nil, err
	}
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		if err := e.judgeTarget(ctx, tx.Reader(), row); err != nil {
			return err
		}
		if err := tx.Targets().Insert(ctx, row); err != nil {
			return err
		}
		tx.Nudge(certctl.TopicConfig)
		return audit(ctx, tx, "target_created", "target", row.ID, details{"type": row.Type, "name": row.Name, "agent_id": row.AgentID})
	})
	return row, err
}

// configureTarget sets the configuration and learns the paths that it names.
func (e *Engine) configureTarget(ctx context.Context, row *certctl.Target, in ConnectorInput) error {
	kind, _ := e.targets.Kind(row.Type)
	if err := setConfig(e, kind, row.ID, in.Config, sealed{"targets", &row.Config, &row.SealedConfig}); err != nil {
		return err
	}
	config, err := e.unseal("targets", row.ID, row.SealedConfig)
	if err != nil {
		return err
	}
	t, err := e.targets.Open(ctx, row.Type, config, e.env(row.ID))
	if err != nil {
		return configProblem(err)
	}
	row.Paths = nil
	if p, ok := t.(target.PathUser); ok {
		row.Paths = p.Paths()
	}
	return nil
}

// judgeTarget refuses what could never work: an agent that is gone, or a path
// that another target of the same agent writes already.
func (e *Engine) judgeTarget(ctx context.Context, r certctl.Reader, row *certctl.Target) error {
	agent, err := r.Agents().Get(ctx, row.AgentID)
	if isNotFound(err) || (err == nil && !agent.RetiredAt.IsZero()) {
		return certctl.Invalid("target", certctl.Problem{Field: "agent_id", Message: "no such agent, or it was retired: " + row.AgentID})
	}
	if err != nil {
		return err
	}
	retired := false
	others, err := all(ctx, r.Targets(), certctl.TargetFilter{AgentIDs: []string{row.AgentID}, Retired: &retired})
	if err != nil {
		return err
	}
	for _, o := range others {
		for _, p := range o.Paths {
			if o.ID != row.ID && slices.Contains(row.Paths, p) {
				return certctl.Errorf(certctl.ErrConflict, "%s is written by target %s (%s) already; two targets cannot share a file", p, o.ID, o.Name)
			}
		}
	}
	return nil
}

// UpdateTarget changes a target; a masked secret keeps the stored one.
func (e *Engine) UpdateTarget(ctx context.Context, id string, in ConnectorInput, ifMatch int64) (*certctl.Target, error) {
	var row *certctl.Target
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if row, err = tx.Targets().Get(ctx, id); err != nil {
			return err
		}
		if err := checkMatch("target", id, row.Revision, ifMatch); err != nil {
			return err
		}
		if in.Type != "" && !sameKind(e.targets, in.Type, row.Type) {
			return certctl.Invalid("target", certctl.Problem{Field: "type", Message: "is " + row.Type + " and cannot be changed; create another target"})
		}
		if in.AgentID != "" && in.AgentID != row.AgentID {
			return certctl.Invalid("target", certctl.Problem{Field: "agent_id", Message: "cannot be changed: the keys are on agent " + row.AgentID + "; create another target"})
		}
		if in.Name != "" {
			row.Name = in.Name
		}
		if in.Enabled != nil {
			row.Enabled = *in.Enabled
		}
		if err := certctl.Invalid("target", nameProblems(row.Name)...); err != nil {
			return err
		}
		if len(in.Config) > 0 {
			if err := e.configureTarget(ctx, row, in); err != nil {
				return err
			}
			row.TestStatus, row.TestMessage, row.TestedAt = certctl.TestUntested, "", time.Time{}
		}
		if err := e.judgeTarget(ctx, tx.Reader(), row); err != nil {
			return err
		}
		tx.Nudge(certctl.TopicConfig)
		if err := tx.Targets().Update(ctx, row); err != nil {
			return err
		}
		return audit(ctx, tx, "target_updated", "target", id, nil)
	})
	return row, err
}

// DeleteTarget retires a target to which no certificate is bound any more. Its
// row stays, for the jobs and audit entries that name it.
func (e *Engine) DeleteTarget(ctx context.Context, id string, ifMatch int64) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		row, err := tx.Targets().Get(ctx, id)
		if err != nil {
			return err
		}
		if err := checkMatch("target", id, row.Revision, ifMatch); err != nil {
			return err
		}
		if !row.RetiredAt.IsZero() {
			return nil
		}
		n, err := tx.Bindings().Count(ctx, certctl.BindingFilter{TargetIDs: []string{id}})
		if err != nil {
			return err
		}
		if n > 0 {
			return certctl.Errorf(certctl.ErrConflict, "a certificate is bound to target %s; unbind it first", id)
		}
		row.RetiredAt, row.RetiredWhy, row.Enabled = tx.Now(), "deleted by "+certctl.ActorFrom(ctx).ID, false
		tx.Nudge(certctl.TopicConfig)
		if err := tx.Targets().Update(ctx, row); err != nil {
			return err
		}
		return audit(ctx, tx, "target_deleted", "target", id, nil)
	})
}

// TestTarget tells whether the target's agent has been heard of in the last
// five minutes; only the agent can look at the target itself, and does so at
// each deployment before it touches anything.
func (e *Engine) TestTarget(ctx context.Context, id string) (*certctl.Target, error) {
	var row *certctl.Target
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if row, err = tx.Targets().Get(ctx, id); err != nil {
			return err
		}
		agent, err := tx.Agents().Get(ctx, row.AgentID)
		if err != nil {
			return err
		}
		var failed error
		switch {
		case !agent.RetiredAt.IsZero():
			failed = certctl.Errorf(certctl.ErrGone, "agent %s was retired", agent.ID)
		case agent.LastHeartbeatAt.IsZero():
			failed = certctl.Errorf(certctl.ErrUnavailable, "agent %s has never been heard of", agent.ID)
		case tx.Now().Sub(agent.LastHeartbeatAt) > 5*time.Minute:
			failed = certctl.Errorf(certctl.ErrUnavailable, "agent %s was last heard of at %s", agent.ID, agent.LastHeartbeatAt.Format(time.RFC3339))
		}
		tested(failed, tx.Now(), &row.TestStatus, &row.TestMessage, &row.TestedAt)
		if err := tx.Targets().Update(ctx, row); err != nil {
			return err
		}
		return audit(ctx, tx, "target_tested", "target", id, details{"status": row.TestStatus})
	})
	return row, err
}

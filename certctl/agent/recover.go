package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/target"
)

// pendingTarget is what must be known to finish or undo a deployment without
// the server. It may hold secrets, and is removed when the deployment is over.
type pendingTarget struct {
	ID     string          `json:"target_id"`
	Type   string          `json:"type"`
	Config json.RawMessage `json:"config"`
}

func pendingFile(targetID string) string { return targetID + ".json" }

// remember keeps a target's configuration before a deployment to it begins.
func (a *Agent) remember(w api.Work) error {
	b, err := json.Marshal(pendingTarget{ID: w.TargetID, Type: w.TargetType, Config: w.TargetConfig})
	if err != nil {
		return fmt.Errorf("keep the configuration of target %s: %w", w.TargetID, err)
	}
	return a.pending.write(pendingFile(w.TargetID), b)
}

// forget drops it after the deployment.
func (a *Agent) forget(targetID string, log *slog.Logger) {
	if err := a.pending.remove(pendingFile(targetID)); err != nil {
		log.Error("the configuration of a finished deployment could not be removed", slog.Any("error", err))
	}
}

// recoverAll finishes or undoes the deployments that a dead process left
// behind. It needs no server.
func (a *Agent) recoverAll(ctx context.Context) {
	names, err := a.pending.names()
	if err != nil {
		a.log.Error("interrupted deployments cannot be listed", slog.Any("error", err))
		a.link.problem("recovery", "interrupted deployments cannot be listed: "+err.Error())
		return
	}
	for _, name := range names {
		id, ok := strings.CutSuffix(name, ".json")
		if !ok || checkID("target", id) != nil {
			continue
		}
		unlock, err := a.targets.lock(ctx, id)
		if err != nil {
			return
		}
		_, _ = a.recover(ctx, id, a.log.With(slog.String("target_id", id))) // logged and told already
		unlock()
	}
}

// recover finishes or undoes an interrupted deployment to a target, if there
// is one. A failure is logged and told to the server by the heartbeat; the
// configuration then stays for another attempt. It returns whether there was
// something to do.
func (a *Agent) recover(ctx context.Context, targetID string, log *slog.Logger) (bool, error) {
	recovered, err := a.tryRecover(ctx, targetID, log)
	problem := ""
	if err != nil {
		log.Error("an interrupted deployment could not be undone; look at the target", slog.Any("error", err))
		problem = fmt.Sprintf("target %s: an interrupted deployment could not be undone: %v", targetID, err)
	}
	a.link.problem("target "+targetID, problem)
	return recovered, err
}

func (a *Agent) tryRecover(ctx context.Context, targetID string, log *slog.Logger) (bool, error) {
	b, err := a.pending.read(pendingFile(targetID))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var p pendingTarget
	if err := json.Unmarshal(b, &p); err != nil {
		return false, fmt.Errorf("the configuration kept in %s/%s is damaged", a.pending.path, pendingFile(targetID))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.o.WorkTimeout)
	defer cancel()
	place, err := a.open(ctx, targetID, p.Type, p.Config, log)
	if err != nil {
		return false, err
	}
	recovered, err := guarded("the connector "+p.Type, func() (bool, error) {
		return target.Recover(ctx, place, a.deployOptions(targetID, log))
	})
	if err != nil && (!recovered || errors.Is(err, target.ErrRollback)) {
		return false, err
	}
	if recovered {
		log.Warn("an interrupted deployment was undone", slog.Any("left_over", err))
	}
	return recovered, a.pending.remove(pendingFile(targetID))
}

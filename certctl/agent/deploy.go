package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target"
)

// deploy puts a certificate onto its target, one deployment at a time for each
// target, and tells what came of it.
func (a *Agent) deploy(ctx context.Context, w api.Work, log *slog.Logger) *api.Report {
	if err := checkID("target", w.TargetID); err != nil {
		return final(w, err)
	}
	bundle, held, err := a.bundle(w)
	if err != nil {
		return final(w, err)
	}
	unlock, err := a.targets.lock(ctx, w.TargetID)
	if err != nil {
		return notStarted(w, fmt.Errorf("waiting for another deployment to this target: %w", err))
	}
	defer unlock()

	_, unrecovered := a.recover(ctx, w.TargetID, log)
	place, err := a.open(ctx, w.TargetID, w.TargetType, w.TargetConfig, log)
	if err != nil {
		r := notStarted(w, err)
		r.Final = isConfigError(err)
		return r
	}
	if unrecovered == nil { // else Deploy tries, and what is kept stays for another attempt
		if err := a.remember(w); err != nil {
			return notStarted(w, err)
		}
	}
	result, err := guarded("the connector "+w.TargetType, func() (*target.Result, error) {
		return target.Deploy(ctx, place, bundle, a.deployOptions(w.TargetID, log))
	})
	if errors.Is(err, errPanic) {
		result = a.afterPanic(ctx, w.TargetID, log)
	}
	if result == nil {
		result = &target.Result{Outcome: target.NotStarted}
	}
	if result.Outcome != target.RollbackFailed {
		a.forget(w.TargetID, log)
	}
	if result.Outcome == target.Deployed || result.Outcome == target.Unchanged {
		if err := a.keys.promote(w.CertificateID, held); err != nil {
			// The deployment stands: keys are found by what they are, not by name.
			log.Error("the key could not be given its name", slog.Any("error", err))
			a.link.problem("key store", "the key store cannot be written: "+err.Error())
		} else {
			a.link.problem("key store", "")
		}
	}
	return deploymentReport(w, result, err, bundle.KeyPEM)
}

// afterPanic undoes what a connector left behind when it panicked.
func (a *Agent) afterPanic(ctx context.Context, targetID string, log *slog.Logger) *target.Result {
	switch recovered, err := a.recover(ctx, targetID, log); {
	case err != nil:
		return &target.Result{Outcome: target.RollbackFailed}
	case recovered:
		return &target.Result{Outcome: target.RolledBack}
	default:
		return &target.Result{Outcome: target.NotStarted}
	}
}

func (a *Agent) deployOptions(targetID string, log *slog.Logger) target.Options {
	return target.Options{ID: targetID, Prober: a.o.Prober, Journal: a.journal, Now: a.o.Now, Logger: log}
}

// open makes the target out of its configuration.
func (a *Agent) open(ctx context.Context, id, kind string, config json.RawMessage, log *slog.Logger) (target.Target, error) {
	return guarded("the connector "+kind, func() (target.Target, error) {
		return a.o.Targets.Open(ctx, kind, config, connector.Env{HTTP: a.o.HTTP, Logger: log, Now: a.o.Now, ID: id})
	})
}

// isConfigError tells a configuration that cannot work from a target that
// cannot be reached.
func isConfigError(err error) bool {
	_, config := errors.AsType[*connector.ConfigError](err)
	_, kind := errors.AsType[*connector.UnknownKindError](err)
	return config || kind || errors.Is(err, errPanic)
}

func deploymentReport(w api.Work, result *target.Result, err error, keyPEM []byte) *api.Report {
	r := &api.Report{
		Fence:    w.Fence,
		Outcome:  string(result.Outcome),
		Output:   withoutKey(result.Output, keyPEM),
		Observed: observations(result.Observed),
	}
	if err != nil {
		r.Error = withoutKey(err.Error(), keyPEM)
		r.Final = errors.Is(err, target.ErrRefused)
	}
	return r
}

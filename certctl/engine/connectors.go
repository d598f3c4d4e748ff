package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/connector"
)

// sealed is where a connector's configuration is kept at rest: the whole of it
// sealed, and a masked form for people.
type sealed struct {
	what   string // "issuers" or "targets": part of the seal, so that rows cannot be swapped
	config *json.RawMessage
	bytes  *[]byte
}

// setConfig checks a configuration strictly, keeps stored secrets where the
// input is masked, and seals it.
func setConfig[T any](e *Engine, k connector.Kind[T], id string, in json.RawMessage, s sealed) error {
	if len(in) == 0 {
		in = json.RawMessage("{}")
	}
	if len(*s.bytes) > 0 {
		old, err := e.unseal(s.what, id, *s.bytes)
		if err != nil {
			return err
		}
		if in, err = k.Merge(old, in); err != nil {
			return configProblem(err)
		}
	}
	if err := k.Check(in); err != nil {
		return configProblem(err)
	}
	masked, err := k.Mask(in)
	if err != nil {
		return configProblem(err)
	}
	blob, err := e.sealer.Seal(sealContext(s.what, id), in)
	if err != nil {
		return err
	}
	*s.config, *s.bytes = masked, blob
	return nil
}

func sealContext(what, id string) string { return what + "/config/" + id }

func (e *Engine) unseal(what, id string, blob []byte) (json.RawMessage, error) {
	plain, err := e.sealer.Open(sealContext(what, id), blob)
	if err != nil {
		return nil, certctl.Errorf(certctl.ErrUnavailable,
			"the configuration of %s cannot be unsealed: %v; start the server with the encryption key that sealed it", id, err)
	}
	return plain, nil
}

// configProblem turns a connector's complaints into an *InvalidError.
func configProblem(err error) error {
	if bad, ok := errors.AsType[*connector.ConfigError](err); ok {
		problems := make([]certctl.Problem, len(bad.Problems))
		for i, p := range bad.Problems {
			problems[i] = certctl.Problem{Field: "config." + p.Field, Message: p.Message}
			if p.Field == "" {
				problems[i].Field = "config"
			}
		}
		return certctl.Invalid(bad.Kind+" configuration", problems...)
	}
	return err
}

func unknownKind(field, kind string, known []string) error {
	return certctl.Invalid("request", certctl.Problem{Field: field, Message: fmt.Sprintf("there is no kind %.40q; known are %s", kind, strings.Join(known, ", "))})
}

func kinds[T any](r *connector.Registry[T]) []KindInfo {
	if r == nil {
		return nil
	}
	var out []KindInfo
	for _, k := range r.Kinds() {
		out = append(out, KindInfo{Name: k.Name(), Title: k.Title(), Schema: k.Schema()})
	}
	return out
}

// vault keeps a connector's small secrets as sealed rows.
type vault struct {
	e     *Engine
	owner string
}

func (v vault) context(name string) string { return "vault/" + v.owner + "/" + name }

func (v vault) Get(ctx context.Context, name string) ([]byte, error) {
	var item *certctl.VaultItem
	err := v.e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		item, err = r.VaultItem(ctx, v.owner, name)
		return err
	})
	if isNotFound(err) {
		return nil, connector.ErrNoItem
	}
	if err != nil {
		return nil, err
	}
	return v.e.sealer.Open(v.context(name), item.Sealed)
}

func (v vault) Create(ctx context.Context, name string, value []byte) ([]byte, error) {
	blob, err := v.e.sealer.Seal(v.context(name), value)
	if err != nil {
		return nil, err
	}
	var stored *certctl.VaultItem
	err = v.e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		stored, err = tx.CreateVaultItem(ctx, &certctl.VaultItem{Owner: v.owner, Name: name, Sealed: blob, CreatedAt: tx.Now()})
		return err
	})
	if err != nil {
		return nil, err
	}
	return v.e.sealer.Open(v.context(name), stored.Sealed)
}

func (e *Engine) env(id string) connector.Env {
	return connector.Env{HTTP: e.http, Logger: e.log.With("connector", id), Now: e.now, Vault: e.Vault(id), ID: id}
}

// tested notes the outcome of a connection test.
func tested(err error, now time.Time, status *certctl.TestStatus, message *string, at *time.Time) {
	*status, *message, *at = certctl.TestSuccess, "", now
	if err != nil {
		*status, *message = certctl.TestFailed, clip(err.Error(), 2000)
	}
}

// clip bounds a text that comes from outside.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// Vault returns a place for small secrets, sealed at rest and shared by all
// replicas: of connectors, and of programs around the engine.
func (e *Engine) Vault(owner string) connector.Vault { return vault{e, owner} }

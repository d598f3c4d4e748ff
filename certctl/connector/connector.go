// Package connector is how a kind of issuer, target, notifier or discovery
// source is defined: a name, a typed configuration that is decoded strictly
// with its defaults first, and a function that opens it. Schema, forms, masks
// and documentation come from that one type.
//
//	type Config struct {
//		URL   string        `json:"url" doc:"Base URL of the CA" required:"true"`
//		Token secret.String `json:"token" doc:"API token" required:"true"`
//	}
//
//	func Kind() connector.Kind[issuer.Issuer] {
//		return connector.Define("example", "Example CA", func() Config { return Config{} }, Open)
//	}
package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Env is what a connector gets from the program that opens it.
type Env struct {
	ID     string       // of the configured instance
	HTTP   *http.Client // the only way out over HTTP; nil when the program offers none
	Logger *slog.Logger // may be nil; use Log
	Now    func() time.Time
	Vault  Vault // nil when the program offers none
}

// Log returns the logger, or a silent one.
func (e Env) Log() *slog.Logger {
	if e.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return e.Logger
}

// ErrNoItem is returned by Vault.Get for a name that was never created.
var ErrNoItem = errors.New("connector: no such vault item")

// Vault keeps small secret values of one connector instance, such as a CA key
// or an account key: sealed at rest, shared by replicas.
type Vault interface {
	// Get returns the value, or ErrNoItem.
	Get(ctx context.Context, name string) ([]byte, error)
	// Create stores the value unless one is there, and returns the one that
	// is stored then: the first writer wins.
	Create(ctx context.Context, name string, value []byte) ([]byte, error)
}

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Field   string `json:"field"` // path, such as "endpoints[0].address"
	Message string `json:"message"`
}

// ConfigError says everything that is wrong with a configuration.
type ConfigError struct {
	Kind     string
	Problems []Problem
}

func (e *ConfigError) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.Message
		if p.Field != "" {
			parts[i] = p.Field + ": " + p.Message
		}
	}
	return e.Kind + " configuration: " + strings.Join(parts, "; ")
}

// Kind is a defined connector.
type Kind[T any] struct {
	name, title string
	aliases     []string
	config      shape
	open        func(context.Context, json.RawMessage, Env) (T, error)
}

// Define makes a kind. C is a struct with json tags; defaults returns it as it
// is before anything is configured. Tags: doc (a sentence), required:"true",
// enum:"a,b". If C or *C has Validate() []Problem, it judges the decoded whole.
func Define[T, C any](name, title string, defaults func() C, open func(context.Context, C, Env) (T, error)) Kind[T] {
	k := Kind[T]{name: name, title: title, config: shapeOf(func() any { c := defaults(); return &c })}
	k.open = func(ctx context.Context, raw json.RawMessage, env Env) (T, error) {
		v, err := k.config.decode(name, raw)
		if err != nil {
			var zero T
			return zero, err
		}
		return open(ctx, *v.(*C), env)
	}
	return k
}

// Alias returns the kind with more names that find it.
func (k Kind[T]) Alias(names ...string) Kind[T] {
	k.aliases = append(append([]string{}, k.aliases...), names...)
	return k
}

// Name is the stable name of the kind.
func (k Kind[T]) Name() string { return k.name }

// Title is its name for people.
func (k Kind[T]) Title() string { return k.title }

// Schema is the configuration's JSON schema (2020-12), with defaults and docs;
// secrets are writeOnly.
func (k Kind[T]) Schema() json.RawMessage { return k.config.schema(k.title) }

// Check reports all problems of a configuration as a *ConfigError.
func (k Kind[T]) Check(config json.RawMessage) error {
	_, err := k.config.decode(k.name, config)
	return err
}

// Open makes a connector from a configuration.
func (k Kind[T]) Open(ctx context.Context, config json.RawMessage, env Env) (T, error) {
	return k.open(ctx, config, env)
}

// Mask returns the configuration in full, defaults included, with secrets
// masked.
func (k Kind[T]) Mask(config json.RawMessage) (json.RawMessage, error) {
	v, err := k.config.decode(k.name, config)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// Merge returns next, with each masked secret replaced by the one that old has
// in its place.
func (k Kind[T]) Merge(old, next json.RawMessage) (json.RawMessage, error) {
	return k.config.merge(k.name, old, next)
}

// UnknownKindError is returned for a kind that is not registered.
type UnknownKindError struct {
	Name  string
	Known []string
}

func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("no connector kind %.80q; known are %s", e.Name, strings.Join(e.Known, ", "))
}

// Registry finds kinds by name, whatever the case, and by alias.
type Registry[T any] struct {
	kinds  []Kind[T]
	byName map[string]int
}

// NewRegistry makes a registry of an explicit list. A name that is empty or
// taken is an error.
func NewRegistry[T any](kinds ...Kind[T]) (*Registry[T], error) {
	r := &Registry[T]{kinds: kinds, byName: map[string]int{}}
	for i, k := range kinds {
		for _, n := range append([]string{k.name}, k.aliases...) {
			n = strings.ToLower(n)
			if _, taken := r.byName[n]; taken || n == "" {
				return nil, fmt.Errorf("connector: the kind name %q is empty or registered twice", n)
			}
			r.byName[n] = i
		}
	}
	return r, nil
}

// Kinds lists them in the order of registration.
func (r *Registry[T]) Kinds() []Kind[T] { return r.kinds }

// Names lists their names.
func (r *Registry[T]) Names() []string {
	out := make([]string, len(r.kinds))
	for i, k := range r.kinds {
		out[i] = k.name
	}
	return out
}

// Kind finds a kind.
func (r *Registry[T]) Kind(name string) (Kind[T], bool) {
	i, ok := r.byName[strings.ToLower(name)]
	if !ok {
		return Kind[T]{}, false
	}
	return r.kinds[i], true
}

// Open finds a kind and opens it; *UnknownKindError or *ConfigError when that
// cannot be.
func (r *Registry[T]) Open(ctx context.Context, kind string, config json.RawMessage, env Env) (T, error) {
	k, ok := r.Kind(kind)
	if !ok {
		var zero T
		return zero, &UnknownKindError{Name: kind, Known: r.Names()}
	}
	return k.Open(ctx, config, env)
}

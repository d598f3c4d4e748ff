package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
)

// catalog registers the operations of an entity that people simply keep: T is
// its row, F its filter, W its wire form, C and U the bodies of creation and
// change, Q the query of its list.
type catalog[T, F, W, C, U, Q any] struct {
	one, many, path, tag string // "Team", "Teams", "teams"
	what, whats          string // for people
	write                access

	keep   func() *engine.Catalog[T, F]
	lookup func(certctl.Reader) certctl.Lookup[T, F]
	wire   func(*T) W
	meta   func(*T) (id string, revision int64)
	query  func(*Q) (F, api.ListOptions)
	fresh  func(C) *T
	change func(U, *T)
}

func (c catalog[T, F, W, C, U, Q]) register(s *service) {
	path := v1 + "/" + c.path
	add(s, operation{id: "list" + c.many, method: http.MethodGet, path: path, tag: c.tag, summary: "List " + c.whats, access: viewer},
		func(ctx context.Context, in *Q) (*page[W], error) {
			filter, o := c.query(in)
			return listing[T, F, W]{filter: filter, lookup: c.lookup, wire: c.wire}.read(ctx, s, o)
		})
	add(s, operation{id: "get" + c.one, method: http.MethodGet, path: path + "/{id}", tag: c.tag, summary: "Read " + c.what, access: viewer},
		func(ctx context.Context, in *oneByID) (*single[W], error) {
			row, err := get(ctx, s, in.ID, c.lookup, func(t *T) *T { return t })
			if err != nil {
				return nil, err
			}
			return c.single(*row), nil
		})
	add(s, operation{id: "create" + c.one, method: http.MethodPost, path: path, tag: c.tag, summary: "Create " + c.what, access: c.write, status: http.StatusCreated, keyed: true},
		func(ctx context.Context, in *creating[C]) (*created[W], error) {
			row := c.fresh(in.Body)
			if err := c.keep().Create(ctx, row); err != nil {
				return nil, err
			}
			id, revision := c.meta(row)
			return &created[W]{ETag: etag(revision), Location: path + "/" + id, Body: c.wire(row)}, nil
		})
	add(s, operation{id: "update" + c.one, method: http.MethodPut, path: path + "/{id}", tag: c.tag, summary: "Change the fields that are present", access: c.write},
		func(ctx context.Context, in *changeByID[U]) (*single[W], error) {
			known, err := revision(in.Matching)
			if err != nil {
				return nil, err
			}
			row, err := c.keep().Update(ctx, in.ID, known, func(t *T) error { c.change(in.Body, t); return nil })
			if err != nil {
				return nil, err
			}
			return c.single(row), nil
		})
	add(s, operation{id: "delete" + c.one, method: http.MethodDelete, path: path + "/{id}", tag: c.tag, summary: "Delete " + c.what + " that nothing refers to", access: c.write},
		func(ctx context.Context, in *deleteByID) (*nothing, error) {
			known, err := revision(in.Matching)
			if err != nil {
				return nil, err
			}
			return nil, c.keep().Delete(ctx, in.ID, known)
		})
}

func (c catalog[T, F, W, C, U, Q]) single(row *T) *single[W] {
	_, revision := c.meta(row)
	return &single[W]{ETag: etag(revision), Body: c.wire(row)}
}

// set changes a field when its new value is present.
func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// value is what a pointer points to, or the default.
func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

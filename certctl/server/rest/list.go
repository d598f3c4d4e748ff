package rest

import (
	"context"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
)

// listing describes a list: where it is read, how it is written.
type listing[T, F, W any] struct {
	filter F
	lookup func(certctl.Reader) certctl.Lookup[T, F]
	wire   func(*T) W
	newest bool                                        // comes first unless another order was asked for
	before func(context.Context, certctl.Reader) error // checks in the same snapshot, when set
	// after completes the items of a page in the same snapshot, when set.
	after func(context.Context, certctl.Reader, []W) error
}

// read answers a list request.
func (l listing[T, F, W]) read(ctx context.Context, s *service, o api.ListOptions) (*page[W], error) {
	p, err := pageOf(o, l.newest)
	if err != nil {
		return nil, err
	}
	if err := checkFields[W](ctx, o.Fields); err != nil {
		return nil, err
	}
	var out *page[W]
	err = s.engine.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		out = &page[W]{}
		if l.before != nil {
			if err := l.before(ctx, r); err != nil {
				return err
			}
		}
		rows, err := l.lookup(r).List(ctx, l.filter, p)
		if err != nil {
			return err
		}
		body := &out.Body
		body.Data, body.NextCursor, body.PageSize = make([]W, len(rows.Items)), rows.Next, p.Limit
		for i, row := range rows.Items {
			body.Data[i] = l.wire(row)
		}
		if p.Total {
			body.Total = &rows.Total
		}
		if p.Number > 0 {
			body.Page, body.PerPage = p.Number, p.Limit
		}
		if l.after != nil {
			return l.after(ctx, r, body.Data)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Link = nextLink(ctx, out.Body.NextCursor)
	return out, nil
}

func pageOf(o api.ListOptions, newest bool) (certctl.Page, error) {
	p := certctl.Page{Limit: 50, Cursor: o.Cursor, Number: o.Page, Total: o.Total}
	switch {
	case o.PageSize > 0 && o.PerPage > 0 && o.PageSize != o.PerPage:
		return p, invalid("per_page", "contradicts page_size")
	case o.PageSize > 0:
		p.Limit = o.PageSize
	case o.PerPage > 0:
		p.Limit = o.PerPage
	}
	if o.Cursor != "" && o.Page > 0 {
		return p, invalid("page", "cannot be combined with cursor")
	}
	if o.Cursor == "" && o.Page == 0 && o.PerPage > 0 {
		p.Number = 1
	}
	if p.Number > 0 {
		p.Total = true
	}
	name, turned := strings.CutPrefix(o.Sort, "-")
	p.Sort, p.Desc = name, turned != o.SortDesc
	if o.Sort == "" && !o.SortDesc {
		p.Desc = newest
	}
	return p, nil
}

// checkFields refuses names that items do not have, and has the others picked.
func checkFields[W any](ctx context.Context, fields []string) error {
	if len(fields) == 0 {
		return nil
	}
	known := jsonNames(reflect.TypeFor[W]())
	for _, f := range fields {
		if !known[f] {
			return invalid("fields", fmt.Sprintf("no field %.64q", f))
		}
	}
	exchangeOf(ctx).fields = fields
	return nil
}

func jsonNames(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for name := range jsonNames(f.Type) {
				names[name] = true
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

// nextLink is the request's own address with the next cursor (RFC 8288).
func nextLink(ctx context.Context, cursor string) string {
	if cursor == "" {
		return ""
	}
	e := exchangeOf(ctx)
	q, err := url.ParseQuery(e.query)
	if err != nil {
		return ""
	}
	size := q.Get("per_page")
	q.Del("page")
	q.Del("per_page")
	if size != "" {
		q.Set("page_size", size)
	}
	q.Set("cursor", cursor)
	return "<" + e.path + "?" + q.Encode() + `>; rel="next"`
}

// get reads one row and writes it with its ETag.
func get[T, F, W any](ctx context.Context, s *service, id string, lookup func(certctl.Reader) certctl.Lookup[T, F], wire func(*T) W) (*W, error) {
	var out W
	err := s.engine.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		row, err := lookup(r).Get(ctx, id)
		if err != nil {
			return err
		}
		out = wire(row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// tri reads a filter that is true, false or absent.
func tri(s string) *bool {
	if b, err := strconv.ParseBool(s); err == nil {
		return &b
	}
	return nil
}

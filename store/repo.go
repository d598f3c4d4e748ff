package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/uptrace/bun"
)

// entity describes how one kind of row is kept; everything else is repo.
type entity[T, F any] struct {
	name  string // for people: "renewal policy"
	alias string // of the table in queries, as bun names it
	pk    string
	id    func(*T) string
	meta  func(*T) *certctl.Meta // nil for rows without one
	sorts []sortBy[T]            // the first is the default
	where func(*bun.SelectQuery, F) *bun.SelectQuery
	// before, when set, completes a row before it is written.
	before func(context.Context, *tx, *T) error
}

// sortBy is a column of the white list. Unset times sort last.
type sortBy[T any] struct {
	names []string // as callers write them
	expr  string
	value func(*T) any // a time.Time or a string
}

// never is how an unset time sorts.
var never = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

func byTime[T any](column string, value func(*T) time.Time, names ...string) sortBy[T] {
	return sortBy[T]{names, "COALESCE(" + column + ", '9999-12-31 23:59:59+00:00')", func(t *T) any {
		if v := value(t); !v.IsZero() {
			return v
		}
		return never
	}}
}

func byText[T any](column string, value func(*T) string, names ...string) sortBy[T] {
	return sortBy[T]{names, column, func(t *T) any { return value(t) }}
}

// repo reads and writes one kind of entity in a transaction.
type repo[T, F any] struct {
	tx *tx
	e  *entity[T, F]
}

func (r repo[T, F]) Get(ctx context.Context, id string) (*T, error) {
	row := new(T)
	err := r.tx.db.NewSelect().Model(row).Where("? = ?", bun.Ident(r.e.alias+"."+r.e.pk), id).Scan(ctx)
	if err != nil {
		if err = translate(err, r.e.name, opRead); isNotFound(err) {
			return nil, certctl.Errorf(certctl.ErrNotFound, "no %s %.130s", r.e.name, id)
		}
		return nil, err
	}
	normalise(row)
	return row, nil
}

func (r repo[T, F]) Count(ctx context.Context, filter F) (int64, error) {
	n, err := r.e.where(r.tx.db.NewSelect().Model((*T)(nil)), filter).Count(ctx)
	return n, translate(err, r.e.name, opRead)
}

func (r repo[T, F]) List(ctx context.Context, filter F, page certctl.Page) (*certctl.Result[T], error) {
	sort, err := r.e.sort(page.Sort)
	if err != nil {
		return nil, err
	}
	limit := page.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 500)
	out := &certctl.Result[T]{Items: []*T{}, Total: -1}
	if page.Total {
		if out.Total, err = r.Count(ctx, filter); err != nil {
			return nil, err
		}
	}
	q := r.e.where(r.tx.db.NewSelect().Model(&out.Items), filter)
	direction, past := "ASC", ">"
	if page.Desc {
		direction, past = "DESC", "<"
	}
	id := r.e.alias + "." + r.e.pk
	switch {
	case page.Cursor != "":
		value, last, err := openCursor(page.Cursor, sort.names[0], page.Desc)
		if err != nil {
			return nil, err
		}
		q = q.Where("("+sort.expr+", ?) "+past+" (?, ?)", bun.Ident(id), value, last)
	case page.Number > 1:
		q = q.Offset(int64((page.Number - 1) * limit))
	}
	q = q.OrderExpr(sort.expr+" "+direction).OrderExpr("? "+direction, bun.Ident(id)).Limit(int64(limit) + 1)
	if err := q.Scan(ctx); err != nil {
		return nil, translate(err, r.e.name, opRead)
	}
	if len(out.Items) > limit {
		out.Items = out.Items[:limit]
		last := out.Items[limit-1]
		normalise(last)
		out.Next = makeCursor(sort.names[0], page.Desc, sort.value(last), r.e.id(last))
	}
	for _, row := range out.Items {
		normalise(row)
	}
	return out, nil
}

func (e *entity[T, F]) sort(name string) (sortBy[T], error) {
	if name == "" {
		return e.sorts[0], nil
	}
	known := []string{}
	for _, s := range e.sorts {
		if slices.Contains(s.names, name) {
			return s, nil
		}
		known = append(known, s.names[0])
	}
	return sortBy[T]{}, certctl.Invalid("list", certctl.Problem{Field: "sort", Message: "must be one of " + strings.Join(known, ", ")})
}

func (r repo[T, F]) Insert(ctx context.Context, rows ...*T) error {
	for _, row := range rows {
		if r.e.meta != nil {
			*r.e.meta(row) = certctl.Meta{CreatedAt: r.tx.now, UpdatedAt: r.tx.now, Revision: 1}
		}
		if r.e.before != nil {
			if err := r.e.before(ctx, r.tx, row); err != nil {
				return err
			}
		}
		normalise(row)
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := r.tx.db.NewInsert().Model(&rows).Exec(ctx)
	return translate(err, r.e.name, opWrite)
}

func (r repo[T, F]) Update(ctx context.Context, row *T) error {
	if r.e.before != nil {
		if err := r.e.before(ctx, r.tx, row); err != nil {
			return err
		}
	}
	q := r.tx.db.NewUpdate().Model(row).WherePK()
	if r.e.meta != nil {
		m := r.e.meta(row)
		before := *m
		m.UpdatedAt, m.Revision = r.tx.now, before.Revision+1
		q = q.Where("revision = ?", before.Revision)
		normalise(row)
		n, err := affected(q.Exec(ctx))
		if err != nil || n != 1 {
			*m = before
		}
		return r.updated(ctx, row, n, err)
	}
	normalise(row)
	n, err := affected(q.Exec(ctx))
	return r.updated(ctx, row, n, err)
}

// updated tells a row that is gone from one that has moved on.
func (r repo[T, F]) updated(ctx context.Context, row *T, n int64, err error) error {
	if err != nil {
		return translate(err, r.e.name, opWrite)
	}
	if n == 1 {
		return nil
	}
	if _, err := r.Get(ctx, r.e.id(row)); err != nil {
		return err
	}
	return certctl.Errorf(certctl.ErrStale, "%s %s was changed by somebody else meanwhile", r.e.name, r.e.id(row))
}

func (r repo[T, F]) Delete(ctx context.Context, id string) error {
	n, err := affected(r.tx.db.NewDelete().Model((*T)(nil)).Where("? = ?", bun.Ident(r.e.pk), id).Exec(ctx))
	if err != nil {
		return translate(err, r.e.name, opDelete)
	}
	if n == 0 {
		return certctl.Errorf(certctl.ErrNotFound, "no %s %.130s", r.e.name, id)
	}
	return nil
}

// cursor is where a page ended.
type cursor struct {
	Sort string `json:"s"`
	Desc bool   `json:"d,omitempty"`
	Time string `json:"t,omitempty"`
	Text string `json:"x,omitempty"`
	ID   string `json:"i"`
}

func makeCursor(sort string, desc bool, value any, id string) string {
	c := cursor{Sort: sort, Desc: desc, ID: id}
	if t, ok := value.(time.Time); ok {
		c.Time = t.Format(time.RFC3339Nano)
	} else {
		c.Text = fmt.Sprint(value)
	}
	text, err := json.Marshal(c)
	if err != nil { // a struct of strings: it cannot
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func openCursor(text, sort string, desc bool) (value any, id string, err error) {
	bad := certctl.Invalid("list", certctl.Problem{Field: "cursor", Message: "is not the next_cursor of a list with this order; start again without it"})
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > 4096 {
		return nil, "", bad
	}
	var c cursor
	if err := json.Unmarshal(raw, &c); err != nil || c.Sort != sort || c.Desc != desc || strings.ContainsRune(c.Text+c.ID, 0) {
		return nil, "", bad
	}
	if c.Time == "" {
		return c.Text, c.ID, nil
	}
	t, err := time.Parse(time.RFC3339Nano, c.Time)
	if err != nil {
		return nil, "", bad
	}
	return t.UTC(), c.ID, nil
}

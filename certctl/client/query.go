package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/api"
)

// values writes the fields of a query struct that are set.
func values(query any) url.Values {
	out := url.Values{}
	addValues(out, reflect.ValueOf(query))
	return out
}

func addValues(out url.Values, v reflect.Value) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		if field.Anonymous {
			addValues(out, value)
			continue
		}
		name := field.Tag.Get("query")
		if name == "" || value.IsZero() {
			continue
		}
		switch x := value.Interface().(type) {
		case string:
			out.Set(name, x)
		case int:
			out.Set(name, strconv.Itoa(x))
		case bool:
			out.Set(name, strconv.FormatBool(x))
		case time.Time:
			out.Set(name, x.UTC().Format(time.RFC3339Nano))
		case []string:
			out.Set(name, strings.Join(x, ","))
		}
	}
}

// list reads one page.
func list[T any](ctx context.Context, c *Client, format string, query any, ids ...string) (*api.List[T], error) {
	return invoke[api.List[T]](ctx, c, call{method: http.MethodGet, path: format, query: values(query)}, nil, ids...)
}

// follow turns the pages of a list into its items. get reads the page with the
// given options.
func follow[T any](first api.ListOptions, get func(api.ListOptions) (*api.List[T], error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		o := first
		if o.PageSize == 0 {
			o.PageSize = o.PerPage
		}
		for {
			page, err := get(o)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Data {
				if !yield(&page.Data[i], nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			if page.NextCursor == o.Cursor {
				yield(nil, fmt.Errorf("client: the server's list does not go on after cursor %.40q", o.Cursor))
				return
			}
			o.Cursor, o.Page, o.PerPage = page.NextCursor, 0, 0
		}
	}
}

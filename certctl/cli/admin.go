package cli

import (
	"fmt"
	"strconv"

	"github.com/certctl/certctl/certctl/api"
	"github.com/urfave/cli/v2"
)

func (s *session) admin() *cli.Command {
	return group("admin", "what only administrators see", nil, &cli.Command{
		Name: "crl-cache", Usage: "list the CRLs that are served, and how they came about",
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			cache, err := cl.GetCRLCache(ctx)
			if err != nil {
				return err
			}
			rows := make([]*api.CRLCacheRow, len(cache.Rows))
			for i := range cache.Rows {
				rows[i] = &cache.Rows[i]
			}
			return show(s, c, crlColumns(s), crlName, rows)
		},
	})
}

// crlName names a list as its URL does.
func crlName(r *api.CRLCacheRow) string {
	name := r.IssuerID
	if r.Shard > 0 {
		name += "/" + strconv.Itoa(r.Shard)
	}
	if r.Delta {
		name += "/delta"
	}
	return name
}

func crlColumns(s *session) []column[api.CRLCacheRow] {
	return []column[api.CRLCacheRow]{
		{"CRL", crlName},
		{"NUMBER", func(r *api.CRLCacheRow) string { return fmt.Sprint(r.CRLNumber) }},
		{"REVOKED", func(r *api.CRLCacheRow) string { return fmt.Sprint(r.RevokedCount) }},
		{"THIS UPDATE", func(r *api.CRLCacheRow) string { return s.when(r.ThisUpdate) }},
		{"NEXT UPDATE", func(r *api.CRLCacheRow) string { return s.when(r.NextUpdate) }},
		{"MADE IN", func(r *api.CRLCacheRow) string { return fmt.Sprint(r.GenerationDurationMillis, " ms") }},
		{"NEWS", func(r *api.CRLCacheRow) string {
			switch {
			case len(r.RecentEvents) > 0 && !r.RecentEvents[0].Succeeded:
				return r.RecentEvents[0].Error
			case r.IsStale:
				return "past its next update"
			}
			return "-"
		}},
	}
}

package engine

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
)

// crlEvents is how many attempts at each list CRLCache tells.
const crlEvents = 10

// CRLCacheRow is a list as it is served now, without its octets, and the last
// attempts to make it, newest first.
type CRLCacheRow struct {
	CRL    *certctl.CRL
	Stale  bool // past its nextUpdate: relying parties refuse it
	Events []*certctl.CRLGeneration
}

// CRLCache tells of every stored CRL, by issuer, shard and delta, and the
// moment at which this was so.
func (e *Engine) CRLCache(ctx context.Context) (rows []CRLCacheRow, at time.Time, err error) {
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		rows, at = nil, r.Now()
		lists, err := all(ctx, r.CRLs(), certctl.CRLFilter{WithoutDER: true})
		if err != nil {
			return err
		}
		for _, c := range lists {
			f := certctl.CRLGenerationFilter{IssuerKeyID: c.IssuerKeyID, Shard: &c.Shard, Delta: &c.Delta}
			page, err := r.CRLGenerations().List(ctx, f, certctl.Page{Limit: crlEvents, Desc: true})
			if err != nil {
				return err
			}
			rows = append(rows, CRLCacheRow{CRL: c, Stale: !at.Before(c.NextUpdate), Events: page.Items})
		}
		return nil
	})
	return rows, at, err
}

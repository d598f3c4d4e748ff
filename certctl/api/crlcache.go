package api

import "time"

// CRLCache is what CRLs are served, and how they came about.
type CRLCache struct {
	Rows        []CRLCacheRow `json:"cache_rows" nullable:"false"`
	RowCount    int           `json:"row_count"`
	GeneratedAt time.Time     `json:"generated_at" doc:"Of this answer"`
}

// CRLCacheRow is one list as it is served now.
type CRLCacheRow struct {
	IssuerID                 string     `json:"issuer_id"`
	IssuerKeyID              string     `json:"issuer_key_id" doc:"SHA-256 of the CA key: lower-case hexadecimal"`
	Shard                    int        `json:"shard" doc:"Partition; 0: all certificates of the CA key"`
	Delta                    bool       `json:"delta"`
	CRLNumber                int64      `json:"crl_number"`
	BaseNumber               int64      `json:"base_number,omitempty" doc:"Of a delta"`
	ThisUpdate               time.Time  `json:"this_update"`
	NextUpdate               time.Time  `json:"next_update"`
	GeneratedAt              time.Time  `json:"generated_at"`
	GenerationDurationMillis int64      `json:"generation_duration_ms"`
	RevokedCount             int        `json:"revoked_count"`
	IsStale                  bool       `json:"is_stale" doc:"Past next_update: relying parties refuse it"`
	RecentEvents             []CRLEvent `json:"recent_events" nullable:"false" doc:"The last attempts to make it, newest first"`
}

// CRLEvent is one attempt to make a list.
type CRLEvent struct {
	CRLNumber      int64     `json:"crl_number" doc:"0 when it failed"`
	DurationMillis int64     `json:"duration_ms"`
	RevokedCount   int       `json:"revoked_count"`
	StartedAt      time.Time `json:"started_at"`
	Succeeded      bool      `json:"succeeded"`
	Error          string    `json:"error,omitempty"`
}

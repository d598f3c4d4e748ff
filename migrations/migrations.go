// Package migrations holds the database schema as numbered SQL files, one
// folder a dialect. Files that were released never change: package store keeps
// their checksums and refuses a database that was made by others.
package migrations

import "embed"

// FS holds sqlite/ and postgres/, each with NNNN_name.up.sql and
// NNNN_name.down.sql.
//
//go:embed sqlite/*.sql postgres/*.sql
var FS embed.FS

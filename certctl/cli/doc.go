// Package cli is the command line of certctl: every operation of the HTTP API
// under its noun and verb. It knows the client alone, so it works against any
// server.
//
// Data goes to Out and everything else to Err. ExitCode turns an error into
// the exit code that scripts can rely on: 0 done, 1 failed, 2 wrong usage, 3
// not found, 4 not authenticated or not allowed, 5 conflict, 6 timed out
// waiting, 7 done in part.
package cli

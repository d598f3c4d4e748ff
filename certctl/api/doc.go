// Package api holds the wire types of certctl's HTTP API, with the standard
// library alone, so that clients in other programs stay light.
package api

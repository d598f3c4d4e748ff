// Package rest serves certctl's HTTP API over an engine: /api/v1, /health,
// /ready and the OpenAPI documents.
//
//	h, err := rest.New(rest.Options{Engine: e, Now: time.Now, Logger: log})
//
// A request goes through, from outside to inside: request ID, access log and
// recovery ([service.edge]); response headers and origins; the router; then,
// with the operation known: rate limits, authentication and role
// ([service.guard]), the body's limits and strictness, the Idempotency-Key,
// and conditional reads. Handlers translate between wire types and use cases
// and do nothing else.
package rest

// Package client is the Go client of certctl's HTTP API: a method for every
// operation of the OpenAPI document, over the wire types of package api, with
// nothing but the standard library.
//
//	c, err := client.New("https://certctl.example.com:8443", client.WithAPIKey(key), client.WithCAFile("ca.pem"))
//	created, err := c.CreateCertificate(ctx, api.CertificateRequest{SANs: []string{"www.example.com"}, TargetIDs: []string{"tgt-web"}})
//	for cert, err := range c.Certificates(ctx, api.CertificateQuery{Status: []string{"Expiring"}}) { … }
//
// An answer that is an error is a [*Problem] and matches one of this package's
// sentinels under errors.Is. Requests that are safe to repeat (reads, and
// writes that carry an Idempotency-Key, which the client makes by itself) are
// repeated with growing pauses when the server is busy or cannot be reached.
//
// A context without a deadline gets one of 60 seconds.
package client

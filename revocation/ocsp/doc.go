// Package ocsp answers OCSP requests (RFC 6960, RFC 5019, RFC 9654) over a
// revocation.Source, for any CA: with the CA's key, or with a delegated
// responder certificate that NewDelegate makes.
//
//	issuer, err := ocsp.NewIssuer(ocsp.Credentials{CA: ca, Cert: delegate, Signer: key})
//	responder, err := ocsp.New(ocsp.Options{Source: source, Issuers: ocsp.Fixed(issuer), Now: time.Now})
//	response := responder.Respond(ctx, request) // DER in, DER out
//
// Responder.Respond knows nothing of HTTP; revocation/responder is the
// handler. ParseRequest and NewRequest read and write requests, and Verify
// judges a response as a relying party must.
package ocsp

// Package responder serves CRLs, OCSP and CA certificates over plain HTTP, to
// everybody: the http.Handler for the URLs that certificates carry.
//
//	GET  /.well-known/pki/crl/{issuer}            the CRL, also as {issuer}.crl
//	GET  /.well-known/pki/crl/{issuer}/{shard}    one partition of it
//	GET  /.well-known/pki/crl/{issuer}[/{shard}]/delta    the delta of each
//	GET  /.well-known/pki/ca/{issuer}             the CA certificate, also as {issuer}.crt
//	POST /.well-known/pki/ocsp/{issuer}           OCSP (RFC 6960 appendix A.1)
//	GET  /.well-known/pki/ocsp/{issuer}/{base64}  OCSP, the same request in the path
//	GET  /.well-known/pki/ocsp/{issuer}/{serial}  OCSP, about a serial in hexadecimal
//
// The two GET forms cannot be mistaken for each other: a request begins with
// the octet 0x30, hence its base64 with "M", which is no hexadecimal digit.
//
// The handler reads the path as it was sent. Do not put it behind
// http.ServeMux, which redirects every path that has "//" in it, as base64
// may: make it the listener's handler, or choose it by the prefix [Prefix].
// OCSP errors go out with status 200 as RFC 6960 has them; HTTP errors are for
// what is no OCSP request at all.
package responder

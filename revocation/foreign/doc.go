// Package foreign is a revocation.Feed over somebody else's CA: over its CRL,
// from a file or a URL, which is checked, watched and fetched again in time. It
// lets a responder answer OCSP for a CA that does not, without touching it.
//
//	source, err := foreign.Open(ctx, foreign.Options{CA: ca, CRL: "/var/lib/ca/crl.pem", Index: "/var/lib/ca/index.txt", Now: time.Now})
//	go source.Run(ctx)
//
// A CRL says what is revoked. What is not on it is good only if the operator
// says that the CRL is complete, or gives an index of what was issued; it is
// unknown otherwise.
package foreign

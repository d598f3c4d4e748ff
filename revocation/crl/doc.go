// Package crl builds and signs certificate revocation lists (RFC 5280 section
// 5) over a revocation.Source.
//
//	number, err := crl.NextNumber(previous, now)
//	list, err := crl.Build(ctx, source, crl.Options{CA: ca, Signer: key, Number: number,
//		ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour)})
//
// The DER is written here, not by crypto/x509, so that a list of many entries
// is never a list of many objects; it is the same, octet for octet, as what
// crypto/x509 makes of the same entries.
package crl

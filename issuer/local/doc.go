// Package local is a certificate authority in this process: self-signed, or
// below a CA whose certificate and key are given as files.
//
// Its keys are kept in the connector's vault (or in the operator's file) and
// never made anew silently. Signing is deterministic: one request, with its
// reserved serial and its dates, always yields the same certificate, octet for
// octet, so that an issuance that was cut short after signing can be repeated
// without a second certificate coming to be.
//
// What it signs is linted first, under a throw-away key.
package local

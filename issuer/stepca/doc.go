// Package stepca is an issuer for Smallstep's step-ca, through its own REST
// API and a provisioner of type JWK or X5C: each request carries a token that
// the provisioner's key signed, valid once and for minutes, and bound to one
// CSR. A step-ca with an ACME provisioner is reached with the kind "acme".
//
// What step-ca decides alone, by the template of the provisioner: the extended
// key usages (serverAuth and clientAuth unless the template was changed), and
// the common name, which is the one asked for, or else the first name. It has no
// way to look for a certificate that it issued, so an outcome that got lost
// stays unknown (issuer.ErrUnknown).
package stepca

// Package server is the whole control plane as a library object: the HTTPS
// API, the plain-HTTP listener for CRLs and OCSP, the job worker and the
// scheduler, over a store and connector kinds that the caller chooses.
//
//	s, err := server.New(server.Options{Store: st, Revocations: st, Issuers: issuers, Targets: targets, Sealer: sealer, Now: time.Now})
//	err = s.Run(ctx) // until ctx ends, then it drains
//
// Nothing is read from the environment and nothing is printed: that is what
// cmd/certctl-server is for.
package server

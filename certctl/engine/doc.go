// Package engine holds the use cases of certctl: request, issue, renew,
// deploy, verify, revoke, cancel, archive, and the loops that do them in time.
//
// The three calls that most programs need:
//
//	e, err := engine.New(engine.Options{Store: st, Revocations: st, Issuers: issuers, Sealer: sealer, Now: time.Now})
//	go e.Run(ctx)                                       // job worker and scheduler
//	out, err := e.RequestCertificate(ctx, engine.CertificateRequest{CommonName: "api.example.com", CSRPEM: csr})
//
// Every use case takes its actor from the context (certctl.WithActor), checks
// the request, and writes rows, audit entry and events in one transaction. It
// contacts nobody: what has to be done outside is a job, advanced one stored
// step at a time by whichever replica or agent holds its lease, so that going
// on after a crash is the same code as going on.
package engine

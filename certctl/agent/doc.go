// Package agent is the runtime that lives beside the servers that use
// certificates. It joins a control plane once, makes private keys that never
// leave the machine, sends CSRs, deploys what was issued, looks at what is
// really served, and reports that.
//
// Most programs need three calls:
//
//	id, err := agent.Join(ctx, server, token, dir, api.JoinRequest{Hostname: host})
//	a, err := agent.New(agent.Options{Server: server, Targets: kinds, Dir: dir, Now: time.Now})
//	err = a.Run(ctx) // until ctx ends, or agent.ErrRetired
//
// What it keeps in its folder: identity.json (who it is, with its credential),
// keys (private keys), journal (deployments under way) and targets (the
// configuration of targets with a deployment under way, so that an interrupted
// one is finished or undone at the next start, before the server is reached).
// Every file is 0600 from its first byte.
//
// Compatibility: until version 1.0 exported names may change between minor
// versions, and CHANGELOG.md says how. Names of files in the folder do not
// change without a migration.
package agent

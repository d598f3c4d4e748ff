// Package certctl is the vocabulary of certificate lifecycle management: the
// entities, their states and legal transitions, the errors, the events, and
// the [Store] contract that a database implements.
//
// It contains no behaviour that reaches outside the process. Use cases live in
// certctl/engine, databases in store, certificate authorities in issuer/...,
// servers that use certificates in target/.... A program that embeds certctl
// opens a store, lists the connector kinds that it wants, and gives both to
// engine.New.
//
// Compatibility: until version 1.0 exported names may change between minor
// versions, and CHANGELOG.md says how. The text of states, kinds and IDs is
// stored and sent over the wire, and does not change.
package certctl

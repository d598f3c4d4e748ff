// Package arch holds the rules of the house as tests: which package may import
// which (table_test.go), what a library never calls (calls_test.go), and what no
// file of the repository contains (files_test.go). It has no code of its own.
//
// docs/architecture.md tells why the rules are what they are.
package arch

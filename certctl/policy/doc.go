// Package policy judges requests: pure functions over certificates, CSRs and
// domain values, which contact nobody and keep nothing. Each returns all the
// problems that it finds, in words for the person who asked.
package policy

// Package secret keeps secrets from being seen: [String] is a text that prints
// as a mask wherever it goes, [Sealer] encrypts what is stored, and [NewToken]
// makes credentials of which only a hash is kept.
package secret

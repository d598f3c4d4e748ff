// Package secret keeps secrets from leaking: [String] prints as a mask
// everywhere, [Sealer] encrypts what is stored, and tokens are random and kept
// as hashes.
package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Mask is what a secret prints as. A masked value that comes back in an update
// means "keep the stored one".
const Mask = "********"

// String is a text that only Reveal shows. The zero value is the empty secret.
type String struct{ text string }

// New wraps a secret.
func New(text string) String { return String{text} }

// Reveal returns the secret itself.
func (s String) Reveal() string { return s.text }

// IsZero reports whether there is no secret.
func (s String) IsZero() bool { return s.text == "" }

func (s String) masked() string {
	if s.text == "" {
		return ""
	}
	return Mask
}

// String, GoString, Format, MarshalJSON and LogValue all print the mask.
func (s String) String() string { return s.masked() }

// GoString prints the mask.
func (s String) GoString() string { return fmt.Sprintf("secret.String(%q)", s.masked()) }

// Format prints the mask for every verb.
func (s String) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.masked()) }

// MarshalJSON writes the mask.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(s.masked()) }

// MarshalText writes the mask.
func (s String) MarshalText() ([]byte, error) { return []byte(s.masked()), nil }

// LogValue logs the mask.
func (s String) LogValue() slog.Value { return slog.StringValue(s.masked()) }

// UnmarshalJSON reads the secret.
func (s *String) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &s.text) }

var _ slog.LogValuer = String{}

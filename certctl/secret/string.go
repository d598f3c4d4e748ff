package secret

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Mask is what a secret prints as. Its length says nothing about the secret's.
const Mask = "********"

// String is a secret text. The zero value is the empty text, which prints as
// nothing, so that people see what is not set. Everything that prints or
// encodes a String writes Mask; only Reveal returns the text.
type String struct {
	// A pointer, since fmt looks into unexported fields without asking their
	// methods: it then prints an address, never the text.
	text *string
}

// New returns text as a secret.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{&text}
}

// Reveal returns the text itself, for the one place that uses it.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the text is empty.
func (s String) IsZero() bool { return s.text == nil }

// Equal compares in constant time for texts of one length.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns Mask, or nothing for the empty text.
func (s String) String() string {
	if s.IsZero() {
		return ""
	}
	return Mask
}

// GoString is String in quotes, for %#v.
func (s String) GoString() string { return fmt.Sprintf("secret.String(%q)", s.String()) }

// Format writes the mask for every verb, also for %x and %d.
func (s String) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		_, _ = io.WriteString(f, s.GoString())
	case verb == 'q':
		_, _ = fmt.Fprintf(f, "%q", s.String())
	default:
		_, _ = io.WriteString(f, s.String())
	}
}

// LogValue is what slog writes.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes the mask.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText writes the mask.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalJSON reads a JSON string; null is the empty text.
func (s *String) UnmarshalJSON(data []byte) error {
	var text *string
	if json.Unmarshal(data, &text) != nil {
		return errors.New("a secret must be a string") // the decoder's error might show it
	}
	*s = String{}
	if text != nil {
		*s = New(*text)
	}
	return nil
}

// UnmarshalText reads the text.
func (s *String) UnmarshalText(data []byte) error {
	*s = New(string(data))
	return nil
}

package engine_test

import (
	"encoding/json"
	"testing"

	"github.com/certctl/certctl/certctl"
)

// warning returns the threshold of an expiration warning.
func warning(t *testing.T, e *certctl.Envelope) (days float64, ok bool) {
	t.Helper()
	if e.Name != "certificate.expiration_warning" {
		return 0, false
	}
	var w certctl.ExpirationWarning
	if err := json.Unmarshal(e.Data, &w); err != nil {
		t.Fatal(err)
	}
	return float64(w.ThresholdDays), true
}

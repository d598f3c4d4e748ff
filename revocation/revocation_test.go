package revocation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
)

func TestReasonsReadWhatTheyWrite(t *testing.T) {
	for _, r := range revocation.Reasons {
		got, err := revocation.ParseReason(r.String())
		if err != nil || got != r {
			t.Errorf("ParseReason(%q) = %v, %v", r.String(), got, err)
		}
	}
	for _, s := range []string{"", "KeyCompromise", "removeFromCRL", "aACompromise", "reason(7)", "1"} {
		if r, err := revocation.ParseReason(s); err == nil {
			t.Errorf("ParseReason(%q) = %v, want an error", s, r)
		}
	}
	if got := revocation.Reason(7).String(); got != "reason(7)" {
		t.Errorf("Reason(7) = %q", got)
	}
}

func TestStateNamesNeverPanic(t *testing.T) {
	for state, want := range map[revocation.State]string{
		revocation.Unknown: "unknown", revocation.Good: "good", revocation.Revoked: "revoked", 3: "state(3)", -1: "state(-1)",
	} {
		if got := state.String(); got != want {
			t.Errorf("State(%d) = %q, want %q", int(state), got, want)
		}
	}
}

func TestCheckRefusesWhatMustNotBeSigned(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		status revocation.Status
		ok     bool
	}{
		"unknown":            {revocation.Status{}, true},
		"good":               {revocation.Status{State: revocation.Good}, true},
		"revoked":            {revocation.Status{State: revocation.Revoked, At: at}, true},
		"revoked, removed":   {revocation.Status{State: revocation.Revoked, At: at, Reason: revocation.RemoveFromCRL}, true},
		"no time":            {revocation.Status{State: revocation.Revoked}, false},
		"reason 7 (unused)":  {revocation.Status{State: revocation.Revoked, At: at, Reason: 7}, false},
		"reason 11":          {revocation.Status{State: revocation.Revoked, At: at, Reason: 11}, false},
		"negative reason":    {revocation.Status{State: revocation.Revoked, At: at, Reason: -1}, false},
		"a state not listed": {revocation.Status{State: 3, At: at}, false},
	} {
		err := c.status.Check()
		if (err == nil) != c.ok {
			t.Errorf("%s: Check() = %v", name, err)
		}
		if err != nil && !errors.Is(err, revocation.ErrBadStatus) {
			t.Errorf("%s: %v does not match ErrBadStatus", name, err)
		}
	}
}

func TestAnEntryLeavesOnlyAfterACRLPastExpiry(t *testing.T) {
	expiry := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		notAfter, carried time.Time
		want              bool
	}{
		{expiry, time.Time{}, false},
		{expiry, expiry.Add(-time.Second), false},
		{expiry, expiry, false},
		{expiry, expiry.Add(time.Second), true},
		{time.Time{}, expiry, false},
	} {
		if got := revocation.MayLeave(c.notAfter, c.carried); got != c.want {
			t.Errorf("MayLeave(%v, %v) = %v", c.notAfter, c.carried, got)
		}
	}
}

package policy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/policy"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSplitSANs(t *testing.T) {
	got, problems := policy.SplitSANs("API.example.com", []string{"api.example.com", "*.Example.com", "::ffff:10.0.0.1", "2001:DB8::1", "jane@Example.com", "spiffe://example.com/web"})
	want := policy.Names{
		DNS: []string{"api.example.com", "*.example.com"}, IPs: []string{"10.0.0.1", "2001:db8::1"}, Emails: []string{"jane@example.com"}, URIs: []string{"spiffe://example.com/web"},
	}
	if d := cmp.Diff(want, got); d != "" || len(problems) > 0 {
		t.Error(d, problems)
	}
	for name, want := range map[string]string{
		"a..b": "empty label", "a.": "no dot at its end", "-a.com": "hyphens", "a_b.com": "underscore", "*": "two labels", "*.com": "two labels", "a.*.com": "left-most", "w*.com": "left-most",
		"müller.example": "A-label", "1.2.3": "neither a DNS name nor an IP address", "a\x00b.com": "control character", strings.Repeat("a", 64) + ".com": "1 to 63", "fe80::1%eth0": "zone",
		"@": "e-mail", "http://": "URI", "": "empty",
	} {
		if _, problems := policy.SplitSANs("", []string{name}); len(problems) != 1 || !strings.Contains(problems[0].Message, want) || problems[0].Field != "sans[0]" {
			t.Errorf("%q: %v, want %q", name, problems, want)
		}
	}
	if _, problems := policy.SplitSANs("", nil); len(problems) != 1 {
		t.Errorf("no names: %v", problems)
	}
	if _, problems := policy.SplitSANs(strings.Repeat("a.", 40)+"com", nil); len(problems) == 0 {
		t.Error("a common name of more than 64 characters")
	}
	if _, problems := policy.SplitSANs("", make([]string, 101)); len(problems) != 1 {
		t.Errorf("101 names: %v", problems)
	}
}

func TestProfiles(t *testing.T) {
	p := &certctl.Profile{ID: "prof", MaxTTL: time.Hour, RequiredSANPatterns: []string{`[a-z]+\.corp\.example`}, SPIFFEURIPattern: `spiffe://corp/.*`}
	for _, c := range []struct {
		r    policy.Request
		want string
	}{
		{policy.Request{SANs: []string{"web.corp.example", "spiffe://corp/web"}}, ""},
		{policy.Request{SANs: []string{"web.corp.example.evil.com"}}, "name patterns"},
		{policy.Request{SANs: []string{"web.corp.example", "spiffe://evil/web"}}, "URI pattern"},
		{policy.Request{SANs: []string{"web.corp.example"}, TTL: 2 * time.Hour}, "at most 3600"},
		{policy.Request{SANs: []string{"web.corp.example"}, TTL: time.Second}, "at least 60"},
	} {
		err := policy.CheckRequest(p, c.r)
		if (c.want == "") != (err == nil) || (err != nil && (!errors.Is(err, certctl.ErrInvalid) || !strings.Contains(err.Error(), c.want))) {
			t.Errorf("%+v: %v, want %q", c.r, err, c.want)
		}
	}
	bad := &certctl.Profile{
		AllowedKeyAlgorithms: []certctl.KeyRule{{Algorithm: "DSA"}, {Algorithm: "RSA", MinSize: 512}, {Algorithm: "ECDSA", MinSize: 300}},
		AllowedEKUs:          []string{"anything"}, RequiredSANPatterns: []string{"("}, SPIFFEURIPattern: "[", MaxTTL: time.Second,
	}
	if problems := policy.CheckProfile(bad); len(problems) != 7 {
		t.Errorf("%d problems: %v", len(problems), problems)
	}
	if problems := policy.CheckRenewalPolicy(&certctl.RenewalPolicy{RenewalWindowDays: 400, RemainingFraction: 2, MaxRetries: 11, RetryInterval: time.Second, AlertThresholdsDays: []int{-1}}); len(problems) != 5 {
		t.Errorf("%d problems: %v", len(problems), problems)
	}
}

// TestRenewalMoment: for every lifetime and policy a renewal begins well before
// the end, and never at once.
func TestRenewalMoment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := time.Duration(rapid.Int64Range(int64(5*time.Minute), int64(398*24*time.Hour)).Draw(t, "life"))
		p := &certctl.RenewalPolicy{
			RenewalWindowDays: rapid.IntRange(0, 365).Draw(t, "days"), RemainingFraction: rapid.Float64Range(0.05, 0.9).Draw(t, "fraction"), RetryInterval: time.Hour,
		}
		issued := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		end := issued.Add(life)
		at := policy.RenewAt(p, issued, end, rapid.Float64Range(0, 0.999).Draw(t, "jitter"))
		if early := at.Sub(issued); early < life/20 {
			t.Fatalf("renewed %s after issuance, in a life of %s", early, life)
		}
		if left := end.Sub(at); left < life/21 && left < 23*time.Hour {
			t.Fatalf("%s are left of %s", left, life)
		}
		now := at
		for failures := range 3 { // three attempts fit
			next := policy.NextAttempt(p, failures, now, end, rapid.Float64Range(0, 0.999).Draw(t, "jitter"))
			if !next.After(now) || (!next.Before(end) && end.Sub(now) > 30*time.Second) {
				t.Fatalf("attempt %d at %s, and the end is %s", failures, next, end)
			}
			now = next
		}
	})
}

package responder_test

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/responder"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// openssl asks with openssl ocsp and returns what it prints, and its verdict
// on the response.
func openssl(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	out, _ := exec.CommandContext(t.Context(), peer.Need(t, "openssl"), append([]string{"ocsp", "-no_proxy", "127.0.0.1", "-timeout", "20"}, args...)...).CombinedOutput()
	return string(out), strings.Contains(string(out), "Response verify OK") && !strings.Contains(string(out), "rror")
}

func TestOpenSSLAgreesByPostAndGet(t *testing.T) {
	for _, caKind := range revocationtest.KeyKinds {
		for _, kind := range revocationtest.KeyKinds {
			t.Run(caKind+" CA, "+kind, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, caKind, kind, responder.Limits{})
				ca := revocationtest.PEM(t, s.ca.Cert)
				for cert, want := range map[*x509.Certificate]string{s.good: ": good", s.bad: ": revoked", s.never: ": unknown"} {
					leaf := revocationtest.PEM(t, cert)
					out, ok := openssl(t, "-issuer", ca, "-cert", leaf, "-CAfile", ca, "-url", s.ocspURL(), "-nonce")
					if !ok || !strings.Contains(out, leaf+want) || strings.Contains(out, "nonce") {
						t.Errorf("POST with nonce, want %s:\n%s", want, out)
					}
					if want == ": revoked" && !strings.Contains(out, "Reason: keyCompromise") {
						t.Errorf("no reason:\n%s", out)
					}
					_, der := exchange(t, "GET", s.ocspURL()+"/"+base64.StdEncoding.EncodeToString(s.request(t, nil, cert.SerialNumber)), nil)
					out, ok = openssl(t, "-issuer", ca, "-cert", leaf, "-CAfile", ca, "-no_nonce", "-respin", revocationtest.File(t, "response", der))
					if !ok || !strings.Contains(out, leaf+want) {
						t.Errorf("GET, want %s:\n%s", want, out)
					}
				}
			})
		}
	}
}

func TestOpenSSLReadsEveryReasonAndHash(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	ca := revocationtest.PEM(t, s.ca.Cert)
	for i, reason := range append(revocation.Reasons, revocation.AACompromise) {
		serial := big.NewInt(int64(5000 + i))
		s.src.Issue(s.ca.Cert, time.Time{}, serial)
		if err := s.src.Revoke(s.ca.Cert, serial, reason, s.clock().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		out, ok := openssl(t, "-issuer", ca, "-serial", serial.String(), "-CAfile", ca, "-resp_text", "-url", s.ocspURL())
		said := strings.Contains(out, fmt.Sprintf("(0x%x)\n", int(reason))) && strings.Contains(out, "Revocation Reason: ")
		if !ok || !strings.Contains(out, serial.String()+": revoked") || said != (reason != revocation.Unspecified) {
			t.Errorf("%v:\n%s", reason, out)
		}
	}
	for _, hash := range []string{"-sha1", "-sha256", "-sha384", "-sha512"} {
		out, ok := openssl(t, hash, "-issuer", ca, "-cert", revocationtest.PEM(t, s.bad), "-CAfile", ca, "-url", s.ocspURL())
		if !ok || !strings.Contains(out, ": revoked") {
			t.Errorf("%s:\n%s", hash, out)
		}
	}
	// Three certificates in one request.
	out, ok := openssl(t, "-issuer", ca, "-cert", revocationtest.PEM(t, s.good), "-cert", revocationtest.PEM(t, s.bad), "-serial", "57005", "-CAfile", ca, "-url", s.ocspURL())
	if !ok || !strings.Contains(out, ": good") || !strings.Contains(out, ": revoked") || !strings.Contains(out, "57005: unknown") {
		t.Errorf("three at once:\n%s", out)
	}
	// A CA that is not served.
	other := revocationtest.PEM(t, revocationtest.NewCA(t, "p256", "Another CA", s.clock()).Cert)
	if out, _ := openssl(t, "-issuer", other, "-cert", revocationtest.PEM(t, s.good), "-CAfile", other, "-url", s.ocspURL()); !strings.Contains(out, "unauthorized") {
		t.Errorf("foreign issuer:\n%s", out)
	}
}

// TestOpenSSLRefusesWhatItShould keeps the tests above honest.
func TestOpenSSLRefusesWhatItShould(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	other := revocationtest.PEM(t, revocationtest.NewCA(t, "p256", "Served CA", s.clock()).Cert)
	ca := revocationtest.PEM(t, s.ca.Cert)
	out, ok := openssl(t, "-issuer", ca, "-cert", revocationtest.PEM(t, s.good), "-CAfile", other, "-no_nonce", "-url", s.ocspURL())
	if ok || !strings.Contains(out, "Response Verify Failure") {
		t.Errorf("another root verifies:\n%s", out)
	}
	s.advance(-2 * time.Hour)
	out, ok = openssl(t, "-issuer", ca, "-cert", revocationtest.PEM(t, s.good), "-CAfile", ca, "-url", s.ocspURL())
	if ok || !strings.Contains(out, "expired") {
		t.Errorf("an answer of two hours ago is taken:\n%s", out)
	}
}

func TestGnuTLSAgrees(t *testing.T) {
	tool := peer.Need(t, "ocsptool")
	for _, kind := range revocationtest.KeyKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "p256", kind, responder.Limits{})
			ca := revocationtest.PEM(t, s.ca.Cert)
			for cert, want := range map[*x509.Certificate]string{s.good: "Certificate Status: good", s.bad: "Certificate Status: revoked", s.never: "Certificate Status: unknown"} {
				out, err := exec.CommandContext(t.Context(), tool, "--ask="+s.ocspURL(), "--nonce", "--load-cert", revocationtest.PEM(t, cert), "--load-issuer", ca, "--load-trust", ca).CombinedOutput()
				text := string(out)
				if !strings.Contains(text, want) || !strings.Contains(text, "Verifying OCSP Response: Success.") {
					t.Errorf("%v, want %s:\n%s", err, want, text)
				}
				if want == "Certificate Status: revoked" && !strings.Contains(text, "Revocation time") {
					t.Errorf("no time:\n%s", text)
				}
			}
		})
	}
}

func TestOpenSSLVerifiesAChainAgainstTheCRLThatIsServed(t *testing.T) {
	program := peer.Need(t, "openssl")
	s := newSite(t, "p256", "p256", responder.Limits{})
	_, der := exchange(t, "GET", s.url+responder.Prefix+"crl/iss-one.crl", nil)
	_, ca := exchange(t, "GET", s.url+responder.Prefix+"ca/iss-one.crt", nil)
	list := revocationtest.File(t, "list.pem", fmt.Appendf(nil, "-----BEGIN X509 CRL-----\n%s\n-----END X509 CRL-----\n", base64.StdEncoding.EncodeToString(der)))
	root := revocationtest.PEM(t, revocationtest.Parse(t, ca))
	for cert, want := range map[*x509.Certificate]string{s.good: ": OK", s.bad: "certificate revoked"} {
		out, _ := exec.CommandContext(t.Context(), program, "verify", "-crl_check", "-CRLfile", list, "-CAfile", root, revocationtest.PEM(t, cert)).CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("want %q:\n%s", want, out)
		}
	}
}

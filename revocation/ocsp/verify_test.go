package ocsp_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

func TestVerifyRefusesEveryChangedOctet(t *testing.T) {
	b := newBench(t, "p256", "")
	sound := b.responder.Respond(t.Context(), request(t, b.ca.Cert, nil, badSerial)).DER
	o := ocsp.VerifyOptions{CA: b.ca.Cert, Now: now}
	if _, err := ocsp.Verify(sound, o); err != nil {
		t.Fatal(err)
	}
	for n := range sound {
		changed := bytes.Clone(sound)
		changed[n] ^= 1
		if v, err := ocsp.Verify(changed, o); err == nil {
			t.Errorf("octet %d changed: %+v", n, v.Answers)
		}
		if v, err := ocsp.Verify(sound[:n], o); err == nil {
			t.Errorf("cut to %d octets: %+v", n, v.Answers)
		}
	}
	if _, err := ocsp.Verify(append(bytes.Clone(sound), 0), o); !errors.Is(err, ocsp.ErrUntrusted) {
		t.Errorf("trailing octet: %v", err)
	}
}

func TestVerifyRefusesWhatIsOldEarlyForeignOrUnasked(t *testing.T) {
	b := newBench(t, "p256", "p256")
	other := revocationtest.NewCA(t, "p256", "OCSP CA", now)
	der := b.responder.Respond(t.Context(), request(t, b.ca.Cert, nil, goodSerial)).DER
	for name, c := range map[string]struct {
		o  ocsp.VerifyOptions
		ok bool
	}{
		"now":                 {ocsp.VerifyOptions{CA: b.ca.Cert, Now: now}, true},
		"at its end":          {ocsp.VerifyOptions{CA: b.ca.Cert, Now: now.Add(59 * time.Minute)}, true},
		"expired":             {ocsp.VerifyOptions{CA: b.ca.Cert, Now: now.Add(61 * time.Minute)}, false},
		"expired within skew": {ocsp.VerifyOptions{CA: b.ca.Cert, Now: now.Add(61 * time.Minute), Skew: 5 * time.Minute}, true},
		"of the future":       {ocsp.VerifyOptions{CA: b.ca.Cert, Now: now.Add(-time.Minute)}, false},
		"future within skew":  {ocsp.VerifyOptions{CA: b.ca.Cert, Now: now.Add(-time.Minute), Skew: 5 * time.Minute}, true},
		"another CA":          {ocsp.VerifyOptions{CA: other.Cert, Now: now}, false},
		"nonce not there":     {ocsp.VerifyOptions{CA: b.ca.Cert, Now: now, Nonce: []byte{1}}, false},
	} {
		v, err := ocsp.Verify(der, c.o)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ocsp.ErrUntrusted) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if _, err := ocsp.Verify(der, ocsp.VerifyOptions{Now: now}); err == nil {
		t.Error("no CA: trusted")
	}
}

func TestVerifyTakesANonceThatItDidNotSend(t *testing.T) {
	b := newBench(t, "p256", "p256")
	der := b.responder.Respond(t.Context(), request(t, b.ca.Cert, []byte{1, 2}, goodSerial)).DER
	if _, err := ocsp.Verify(der, ocsp.VerifyOptions{CA: b.ca.Cert, Now: now}); err != nil {
		t.Error(err)
	}
}

// TestVerifyRefusesADelegateOutsideItsValidity: a delegate has no revocation,
// so its end is all that limits a stolen key.
func TestVerifyRefusesADelegateOutsideItsValidity(t *testing.T) {
	b := newBench(t, "p256", "")
	for name, c := range map[string]struct {
		from, to time.Duration
		skew     time.Duration
		ok       bool
	}{
		"valid":             {-2 * time.Hour, time.Hour, 0, true},
		"ended":             {-2 * time.Hour, -time.Hour, 0, false},
		"ended within skew": {-2 * time.Hour, -time.Minute, 5 * time.Minute, true},
		"to come":           {time.Hour, 2 * time.Hour, 0, false},
		"about to come":     {time.Minute, 2 * time.Hour, 5 * time.Minute, true},
	} {
		delegate := b.ca.Delegate(t, "p256", now.Add(c.from), now.Add(c.to))
		v, err := ocsp.Verify(forge(t, b, delegate.Cert, delegate.Signer), ocsp.VerifyOptions{CA: b.ca.Cert, Now: now, Skew: c.skew})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ocsp.ErrUntrusted) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// TestVerifyRefusesADelegateWithoutOCSPSigning: a certificate that the CA
// issued for a web server must not vouch for revocation.
func TestVerifyRefusesADelegateWithoutOCSPSigning(t *testing.T) {
	b := newBench(t, "p256", "")
	key := revocationtest.NewKey(t, "p256")
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(4), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: now, NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, b.ca.Cert, key.Public(), b.ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	// A self-made CA of the same name and the leaf's key signs for the real
	// CA's CertIDs: the forgery that a stolen leaf key allows.
	rogue := revocationtest.NewCAFrom(t, "p256", &x509.Certificate{Subject: pkix.Name{CommonName: "rogue"}, NotBefore: now, NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	forged := forge(t, b, revocationtest.Parse(t, leaf), key)
	if v, err := ocsp.Verify(forged, ocsp.VerifyOptions{CA: b.ca.Cert, Now: now}); !errors.Is(err, ocsp.ErrUntrusted) {
		t.Errorf("a web server's certificate signs: %+v, %v", v, err)
	}
	forged = forge(t, b, rogue.Cert, rogue.Key)
	if v, err := ocsp.Verify(forged, ocsp.VerifyOptions{CA: b.ca.Cert, Now: now}); !errors.Is(err, ocsp.ErrUntrusted) {
		t.Errorf("a rogue certificate signs: %+v, %v", v, err)
	}
}

package ocsp_test

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

func TestADelegateMayOnlySignOCSP(t *testing.T) {
	for _, caKind := range revocationtest.KeyKinds {
		for _, kind := range revocationtest.KeyKinds {
			t.Run(caKind+" CA, "+kind, func(t *testing.T) {
				ca := revocationtest.NewCA(t, caKind, "OCSP CA", now)
				cert := ca.Delegate(t, kind, now, now.AddDate(0, 1, 0)).Cert
				if err := cert.CheckSignatureFrom(ca.Cert); err != nil {
					t.Error(err)
				}
				if cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage != x509.KeyUsageDigitalSignature ||
					len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageOCSPSigning || len(cert.UnknownExtKeyUsage) != 0 ||
					string(cert.AuthorityKeyId) != string(ca.Cert.SubjectKeyId) || len(cert.SubjectKeyId) == 0 || len(cert.CRLDistributionPoints)+len(cert.OCSPServer) != 0 {
					t.Errorf("%+v", cert)
				}
				noCheck := false
				for _, e := range cert.Extensions {
					if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}) {
						noCheck = !e.Critical && string(e.Value) == "\x05\x00"
					}
				}
				if !noCheck {
					t.Error("no id-pkix-ocsp-nocheck")
				}
				lintCertificate(t, cert.Raw)
			})
		}
	}
}

func TestADelegateNeverOutlivesItsCA(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "OCSP CA", now)
	cert := ca.Delegate(t, "p256", now.AddDate(-5, 0, 0), now.AddDate(5, 0, 0)).Cert
	if !cert.NotAfter.Equal(ca.Cert.NotAfter) || !cert.NotBefore.Equal(ca.Cert.NotBefore) {
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
}

func TestDelegatesThatCannotBe(t *testing.T) {
	ca, other := revocationtest.NewCA(t, "p256", "OCSP CA", now), revocationtest.NewCA(t, "p256", "Other CA", now)
	key := revocationtest.NewKey(t, "p256")
	leaf := &revocationtest.CA{Cert: ca.Issue(t, big.NewInt(3), now), Key: key}
	sound := ocsp.DelegateOptions{Serial: big.NewInt(7), NotBefore: now, NotAfter: now.Add(time.Hour)}
	for name, c := range map[string]struct {
		ca     *x509.Certificate
		signer crypto.Signer
		pub    crypto.PublicKey
		change func(*ocsp.DelegateOptions)
	}{
		"no serial":        {ca.Cert, ca.Key, key.Public(), func(o *ocsp.DelegateOptions) { o.Serial = nil }},
		"serial 0":         {ca.Cert, ca.Key, key.Public(), func(o *ocsp.DelegateOptions) { o.Serial = big.NewInt(0) }},
		"serial of 21":     {ca.Cert, ca.Key, key.Public(), func(o *ocsp.DelegateOptions) { o.Serial = new(big.Int).Lsh(big.NewInt(1), 159) }},
		"backwards":        {ca.Cert, ca.Key, key.Public(), func(o *ocsp.DelegateOptions) { o.NotAfter = o.NotBefore }},
		"after the CA":     {ca.Cert, ca.Key, key.Public(), func(o *ocsp.DelegateOptions) { o.NotBefore = now.AddDate(1, 0, 0); o.NotAfter = now.AddDate(2, 0, 0) }},
		"no dates":         {ca.Cert, ca.Key, key.Public(), func(o *ocsp.DelegateOptions) { o.NotBefore, o.NotAfter = time.Time{}, time.Time{} }},
		"another CA's key": {ca.Cert, other.Key, key.Public(), func(*ocsp.DelegateOptions) {}},
		"a leaf as CA":     {leaf.Cert, leaf.Key, key.Public(), func(*ocsp.DelegateOptions) {}},
		"not a key":        {ca.Cert, ca.Key, "key", func(*ocsp.DelegateOptions) {}},
		"a private key":    {ca.Cert, ca.Key, key, func(*ocsp.DelegateOptions) {}},
		"no key":           {ca.Cert, ca.Key, nil, func(*ocsp.DelegateOptions) {}},
	} {
		o := sound
		c.change(&o)
		if der, err := ocsp.NewDelegate(c.ca, c.signer, c.pub, o); err == nil || der != nil {
			t.Errorf("%s: %d octets, %v", name, len(der), err)
		}
	}
	if _, err := ocsp.NewDelegate(ca.Cert, ca.Key, key.Public(), sound); err != nil {
		t.Errorf("sound: %v", err)
	}
}

func TestOpenSSLTakesADelegateForOCSPSigningOnly(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	ca := revocationtest.NewCA(t, "p256", "OCSP CA", now)
	cert := ca.Delegate(t, "p256", now, now.Add(time.Hour)).Cert
	for purpose, want := range map[string]bool{"ocsphelper": true, "sslserver": false, "sslclient": false, "timestampsign": false} {
		out, err := exec.CommandContext(t.Context(), openssl, "verify", "-purpose", purpose, "-attime", "1772601000", "-CAfile", revocationtest.PEM(t, ca.Cert), revocationtest.PEM(t, cert)).CombinedOutput()
		if (err == nil && strings.Contains(string(out), "OK")) != want {
			t.Errorf("%s: %v\n%s", purpose, err, out)
		}
	}
}

package local

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/issuer"
)

// backdate of NotBefore, when the request has none, for clocks that are slow.
const backdate = 5 * time.Minute

// oidNoRevAvail is id-ce-noRevAvail (RFC 9608 section 2).
var oidNoRevAvail = asn1.ObjectIdentifier{2, 5, 29, 56}

var ekus = map[string]x509.ExtKeyUsage{
	"serverAuth": x509.ExtKeyUsageServerAuth, "clientAuth": x509.ExtKeyUsageClientAuth, "codeSigning": x509.ExtKeyUsageCodeSigning,
	"emailProtection": x509.ExtKeyUsageEmailProtection, "timeStamping": x509.ExtKeyUsageTimeStamping,
}

// Issue signs one certificate. Every refusal is an *issuer.Error of kind
// issuer.ErrRefused: nothing was signed, and asking again would not help.
func (ca *CA) Issue(ctx context.Context, req *issuer.Request) (*issuer.Issued, error) {
	if err := ctx.Err(); err != nil {
		return nil, &issuer.Error{Kind: issuer.ErrNotDone, Err: err}
	}
	if req.CSR == nil {
		return nil, issuer.Refusedf("local CA: there is no CSR")
	}
	if err := keys.CheckPublic(req.CSR.PublicKey); err != nil {
		return nil, issuer.Refusedf("local CA: the key of the CSR: %w", err)
	}
	if err := req.CSR.CheckSignature(); err != nil {
		return nil, issuer.Refusedf("local CA: the CSR is not signed by its own key: %w", err)
	}
	t, err := ca.template(req)
	if err != nil {
		return nil, err
	}
	linted, err := ca.lint.check(t, req.CSR.PublicKey, ca.now())
	if err != nil {
		return nil, issuer.Refusedf("local CA: %w", err)
	}
	der, err := sign(t, ca.cert, req.CSR.PublicKey, ca.key)
	if err != nil {
		return nil, issuer.NotDonef("local CA: the CA key did not sign: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, issuer.Refusedf("local CA: %w", err)
	}
	if !bytes.Equal(leaf.RawTBSCertificate, linted) {
		return nil, issuer.Refusedf("local CA: what was signed is not what was linted; this is a defect, and the certificate is withheld")
	}
	return &issuer.Issued{Leaf: leaf, Chain: ca.chain()}, nil
}

// sign is deterministic where the key allows it: RFC 6979 for ECDSA, PKCS#1
// v1.5 for RSA, Ed25519. Keys in hardware may insist on randomness.
func sign(t, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(nil, t, parent, pub, key)
	if err != nil {
		return x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	}
	return der, nil
}

// chain is what is sent with a leaf: the CA and those above it, without a root.
func (ca *CA) chain() []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range append([]*x509.Certificate{ca.cert}, ca.above...) {
		if !chain.SelfSigned(c) {
			out = append(out, c)
		}
	}
	return out
}

// template is the leaf profile (RFC 5280 section 4.2). From the CSR comes the
// key alone.
func (ca *CA) template(req *issuer.Request) (*x509.Certificate, error) {
	t := &x509.Certificate{
		SerialNumber: req.Serial, Subject: pkix.Name{CommonName: req.CommonName}, BasicConstraintsValid: true,
	}
	if t.SerialNumber == nil {
		t.SerialNumber = issuer.NewSerial()
	}
	if t.SerialNumber.Sign() <= 0 || t.SerialNumber.BitLen() > 159 {
		return nil, issuer.Refusedf("local CA: the serial number is not a positive number of at most 20 octets")
	}
	if err := names(t, req); err != nil {
		return nil, err
	}
	if err := ca.validity(t, req); err != nil {
		return nil, err
	}
	if err := usage(t, req); err != nil {
		return nil, err
	}
	if req.NoRevocation {
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidNoRevAvail, Value: asn1.NullBytes})
	} else {
		t.CRLDistributionPoints, t.OCSPServer = req.Endpoints.CRL, req.Endpoints.OCSP
		if len(req.Endpoints.Freshest) > 0 {
			freshest, err := freshestCRL(req.Endpoints.Freshest)
			if err != nil {
				return nil, issuer.Refusedf("local CA: %w", err)
			}
			t.ExtraExtensions = append(t.ExtraExtensions, freshest)
		}
	}
	t.IssuingCertificateURL = req.Endpoints.IssuerCertURL
	ski, err := keyID(req.CSR.PublicKey)
	if err != nil {
		return nil, issuer.Refusedf("local CA: %w", err)
	}
	t.SubjectKeyId = ski
	return t, nil
}

// freshestCRL is the extension of RFC 5280 section 4.2.1.15.
func freshestCRL(urls []string) (pkix.Extension, error) {
	type point struct {
		Name struct {
			Full []asn1.RawValue `asn1:"tag:0"`
		} `asn1:"tag:0"`
	}
	var p point
	for _, u := range urls {
		p.Name.Full = append(p.Name.Full, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(u)})
	}
	value, err := asn1.Marshal([]point{p})
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 46}, Value: value}, err
}

// validity never outlives the CA: a relying party would reject the rest.
func (ca *CA) validity(t *x509.Certificate, req *issuer.Request) error {
	now := ca.now().UTC().Truncate(time.Second)
	t.NotBefore, t.NotAfter = req.NotBefore.UTC().Truncate(time.Second), req.NotAfter.UTC().Truncate(time.Second)
	if req.NotBefore.IsZero() {
		t.NotBefore = now.Add(-backdate)
	}
	if req.NotAfter.IsZero() {
		from := now
		if !req.NotBefore.IsZero() {
			from = t.NotBefore // so that one request always has one end
		}
		t.NotAfter = from.Add(time.Duration(ca.config.ValidityDays) * day)
	}
	if t.NotBefore.Before(ca.cert.NotBefore) {
		t.NotBefore = ca.cert.NotBefore
	}
	if t.NotAfter.After(ca.cert.NotAfter) {
		t.NotAfter = ca.cert.NotAfter
	}
	if !now.Before(t.NotAfter) || !t.NotBefore.Before(t.NotAfter) {
		return issuer.Refusedf("local CA: the certificate would end at %s, which is over; the CA itself ends at %s",
			t.NotAfter.Format(time.RFC3339), ca.cert.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// usage sets the key usages by the extended ones: keyEncipherment for RSA keys
// alone (RFC 8446 and RFC 5246 use it for RSA key exchange), contentCommitment
// for S/MIME.
func usage(t *x509.Certificate, req *issuer.Request) error {
	names := req.EKUs
	if len(names) == 0 {
		names = []string{"serverAuth"}
	}
	for _, n := range names {
		e, ok := ekus[n]
		if !ok {
			return issuer.Refusedf("local CA: the extended key usage %.40q is not known", n)
		}
		t.ExtKeyUsage = append(t.ExtKeyUsage, e)
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	if slices.Contains(names, "emailProtection") {
		t.KeyUsage |= x509.KeyUsageContentCommitment
	}
	if _, isRSA := req.CSR.PublicKey.(*rsa.PublicKey); isRSA && !onlySigns(names) {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	return nil
}

func onlySigns(ekus []string) bool {
	return !slices.ContainsFunc(ekus, func(e string) bool { return e != "codeSigning" && e != "timeStamping" })
}

var errKey = fmt.Errorf("the public key cannot be encoded")

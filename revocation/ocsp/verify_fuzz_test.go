package ocsp_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// fixedCA is the same in every process, as inputs of a fuzz target must be:
// its key is a constant, and Ed25519 signs without chance.
func fixedCA(t testing.TB) *revocationtest.CA {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Fixed CA"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &revocationtest.CA{Cert: revocationtest.Parse(t, raw), Key: key}
}

// responseData is the to-be-signed part of a response.
func responseData(t testing.TB, response []byte) []byte {
	t.Helper()
	in := cryptobyte.String(response)
	var outer, wrapped, body, octets, basic, tbs cryptobyte.String
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !outer.SkipASN1(asn1.ENUM) || !outer.ReadASN1(&wrapped, asn1.Tag(0).ContextSpecific().Constructed()) ||
		!wrapped.ReadASN1(&body, asn1.SEQUENCE) || !body.SkipASN1(asn1.OBJECT_IDENTIFIER) || !body.ReadASN1(&octets, asn1.OCTET_STRING) ||
		!octets.ReadASN1(&basic, asn1.SEQUENCE) || !basic.ReadASN1Element(&tbs, asn1.SEQUENCE) {
		t.Fatalf("not a basic response: %x", response)
	}
	return tbs
}

// signed is a response with any octets as its to-be-signed part.
func signed(t testing.TB, ca *revocationtest.CA, tbs []byte) []byte {
	t.Helper()
	key, ok := ca.Key.(ed25519.PrivateKey)
	if !ok {
		t.Fatalf("signed wants an Ed25519 key, not %T", ca.Key)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes([]byte{6, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 1}) // id-pkix-ocsp-basic
				b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(tbs)
						b.AddBytes([]byte{0x30, 5, 6, 3, 0x2b, 0x65, 0x70}) // id-Ed25519
						b.AddASN1BitString(ed25519.Sign(key, tbs))
					})
				})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Skip(err) // longer than DER can say
	}
	return der
}

// FuzzVerify: whatever a response says, Verify neither fails to return nor
// believes what is unsigned, old, or about nobody. Half of the inputs get a
// true signature, so that what comes after its check is reached too.
func FuzzVerify(f *testing.F) {
	ca := fixedCA(f)
	b := &bench{ca: ca, src: &revocationtest.Source{}, now: now}
	b.src.Issue(ca.Cert, now.AddDate(0, 1, 0), goodSerial, badSerial)
	if err := b.src.Revoke(ca.Cert, badSerial, 1, now.Add(-time.Hour)); err != nil {
		f.Fatal(err)
	}
	b.responder = b.with(f, ocsp.Fixed(revocationtest.Issuer(f, ocsp.Credentials{CA: ca.Cert, Signer: ca.Key})))
	whole := b.responder.Respond(f.Context(), request(f, ca.Cert, []byte{1, 2}, goodSerial, badSerial, neverIssued)).DER
	tbs := responseData(f, whole)
	if _, err := ocsp.Verify(signed(f, ca, tbs), ocsp.VerifyOptions{CA: ca.Cert, Now: now}); err != nil {
		f.Fatalf("the frame of the fuzzed data is not as it must be: %v", err)
	}
	f.Add(whole, false)
	f.Add([]byte{0x30, 3, 10, 1, 6}, false)
	f.Add(tbs, true)
	f.Fuzz(func(t *testing.T, der []byte, sign bool) {
		response := der
		if sign {
			response = signed(t, ca, der)
		}
		v, err := ocsp.Verify(response, ocsp.VerifyOptions{CA: ca.Cert, Now: now})
		if (v == nil) == (err == nil) {
			t.Fatalf("%v, %v", v, err)
		}
		if v == nil {
			return
		}
		if !v.Signer.Equal(ca.Cert) || len(v.Answers) == 0 {
			t.Fatalf("believed: %+v", v)
		}
		if !sign && string(responseData(t, response)) != string(tbs) {
			t.Fatal("believed without the CA's signature")
		}
		for _, a := range v.Answers {
			if a.ThisUpdate.After(now) || !a.NextUpdate.IsZero() && a.NextUpdate.Before(now) {
				t.Fatalf("believed from %v to %v at %v", a.ThisUpdate, a.NextUpdate, now)
			}
		}
	})
}

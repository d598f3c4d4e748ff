package engine

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
)

// ca is an issuer whose CA key is ours.
type ca struct {
	issuerID string
	keyID    string
	cert     *x509.Certificate
	signer   crypto.Signer
	publish  issuer.Publication
}

// signingCA opens an issuer's CA key. revocation.ErrUnknownIssuer for issuers
// that do not exist or keep their key to themselves.
func (e *Engine) signingCA(ctx context.Context, issuerID string) (*ca, error) {
	_, i, err := e.openIssuer(ctx, issuerID)
	if isNotFound(err) {
		return nil, fmt.Errorf("%w: no issuer %.130s", revocation.ErrUnknownIssuer, issuerID)
	}
	if err != nil {
		return nil, err
	}
	authority, ok := issuer.As[issuer.SigningAuthority](i)
	if !ok {
		return nil, fmt.Errorf("%w: issuer %s serves its own revocation data", revocation.ErrUnknownIssuer, issuerID)
	}
	cert, signer, err := authority.Signer(ctx)
	if err != nil {
		return nil, err
	}
	return &ca{issuerID, revocation.KeyID(cert), cert, signer, publication(i)}, nil
}

// responderKey is the algorithm of the key that signs OCSP answers.
func (c *ca) responderKey() keys.Algorithm {
	if c.publish.ResponderKey == "" {
		return keys.ECDSAP256
	}
	return keys.Algorithm(c.publish.ResponderKey)
}

// CACertificate returns the DER of an issuer's CA certificate, for caIssuers
// pointers (RFC 5280 section 4.2.2.1).
func (e *Engine) CACertificate(ctx context.Context, issuerID string) ([]byte, error) {
	c, err := e.signingCA(ctx, issuerID)
	if err != nil {
		return nil, err
	}
	return c.cert.Raw, nil
}

// signerCache keeps the OCSP signers that are in use, by CA key.
type signerCache struct {
	mu sync.Mutex
	m  map[string]cachedSigner
}

type cachedSigner struct {
	issuer *ocsp.Issuer
	until  time.Time // when another one has to be fetched or made

	algorithm keys.Algorithm
}

// OCSPIssuer returns who signs OCSP answers for an issuer: a delegated
// responder certificate with a key of its own (RFC 6960 section 4.2.2.2), kept
// sealed in the store, shared by replicas, rotated before it ends.
func (e *Engine) OCSPIssuer(ctx context.Context, issuerID string) (*ocsp.Issuer, error) {
	c, err := e.signingCA(ctx, issuerID)
	if err != nil {
		return nil, err
	}
	now := e.now()
	e.signers.mu.Lock()
	known, ok := e.signers.m[c.keyID]
	e.signers.mu.Unlock()
	if ok && now.Before(known.until) && known.algorithm == c.responderKey() {
		return known.issuer, nil
	}
	row, err := e.responder(ctx, c)
	if err != nil {
		if ok && now.Before(known.issuer.Certificate().NotAfter) {
			e.log.ErrorContext(ctx, "the OCSP responder certificate was not rotated; the old one signs on", "issuer", issuerID, "error", err)
			return known.issuer, nil
		}
		return nil, err
	}
	signs, err := e.openResponder(c, row)
	if err != nil {
		return nil, err
	}
	e.signers.mu.Lock()
	defer e.signers.mu.Unlock()
	if e.signers.m == nil {
		e.signers.m = map[string]cachedSigner{}
	}
	e.signers.m[c.keyID] = cachedSigner{signs, e.rotateAt(row.NotBefore, row.NotAfter), keys.Algorithm(row.KeyAlg)}
	return signs, nil
}

// rotateAt is when a responder certificate has to be replaced.
func (e *Engine) rotateAt(notBefore, notAfter time.Time) time.Time {
	grace := min(e.timing.ResponderGrace, notAfter.Sub(notBefore)/2)
	return notAfter.Add(-grace)
}

func (e *Engine) openResponder(c *ca, row *certctl.Responder) (*ocsp.Issuer, error) {
	keyPEM, err := e.sealer.Open("responders/"+row.IssuerKeyID+"/"+row.Serial, row.SealedKey)
	if err != nil {
		return nil, err
	}
	key, err := keys.ParsePEM(keyPEM)
	if err != nil {
		return nil, err
	}
	certs, err := chain.Certificates([]byte(row.CertPEM))
	if err != nil {
		return nil, err
	}
	return ocsp.NewIssuer(ocsp.Credentials{CA: c.cert, Cert: certs[0], Signer: key})
}

// responder returns the stored responder, after making the next when the
// stored one is about to end. Of replicas that make one at once, one wins.
func (e *Engine) responder(ctx context.Context, c *ca) (*certctl.Responder, error) {
	row, err := e.storedResponder(ctx, c.keyID)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	// A row without the CA certificate is from before readers needed it.
	if row != nil && row.CAPEM != "" && row.KeyAlg == string(c.responderKey()) && e.now().Before(e.rotateAt(row.NotBefore, row.NotAfter)) {
		return row, nil
	}
	next, err := e.newResponder(c)
	if err != nil {
		return nil, err
	}
	err = e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		now, err := tx.Responders().Get(ctx, c.keyID)
		switch {
		case isNotFound(err):
			if err := tx.Responders().Insert(ctx, next); err != nil {
				return err
			}
		case err != nil:
			return err
		case row == nil || now.Serial != row.Serial: // somebody else was first
			return nil
		default:
			next.RotatedFrom, next.Meta = now.Serial, now.Meta
			if err := tx.Responders().Update(ctx, next); err != nil {
				return err
			}
		}
		return audit(ctx, tx, "ocsp_responder_rotated", "issuer", c.issuerID, details{"serial": next.Serial, "not_after": next.NotAfter})
	})
	if err != nil {
		return nil, err
	}
	return e.storedResponder(ctx, c.keyID)
}

func (e *Engine) storedResponder(ctx context.Context, keyID string) (row *certctl.Responder, err error) {
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		row, err = r.Responders().Get(ctx, keyID)
		return err
	})
	return row, err
}

func (e *Engine) newResponder(c *ca) (*certctl.Responder, error) {
	algorithm := c.responderKey()
	key, err := keys.Generate(algorithm)
	if err != nil {
		return nil, err
	}
	now := e.now().UTC().Truncate(time.Second)
	serial := issuer.NewSerial()
	der, err := ocsp.NewDelegate(c.cert, c.signer, key.Public(), ocsp.DelegateOptions{
		Serial: serial, NotBefore: now.Add(-e.timing.Backdate), NotAfter: now.Add(e.timing.ResponderLife), CommonName: "OCSP responder of " + clip(c.cert.Subject.CommonName, 40),
	})
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyPEM, err := keys.MarshalPEM(key)
	if err != nil {
		return nil, err
	}
	text := certctl.SerialText(serial)
	blob, err := e.sealer.Seal("responders/"+c.keyID+"/"+text, keyPEM)
	if err != nil {
		return nil, err
	}
	return &certctl.Responder{
		IssuerKeyID: c.keyID, IssuerID: c.issuerID, CertPEM: string(chain.EncodePEM(cert)), Serial: text,
		CAPEM: string(chain.EncodePEM(c.cert)), SealedKey: blob, KeyAlg: string(algorithm), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
	}, nil
}

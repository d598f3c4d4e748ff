package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
)

// world is a CA with a delegated responder, what it issued, and files of both.
type world struct {
	dir            string
	ca, delegate   *x509.Certificate
	key            *ecdsa.PrivateKey // of the delegate
	serials        []*big.Int
	revoked        int // the first of them
	requests       [][]byte
	noncedRequests [][]byte
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

func newWorld(dir string, n int) (*world, error) {
	w := &world{dir: dir, revoked: n / 100}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Bench CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte("bench"),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	if w.ca, err = x509.ParseCertificate(raw); err != nil {
		return nil, err
	}
	if w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	raw, err = ocsp.NewDelegate(w.ca, caKey, w.key.Public(), ocsp.DelegateOptions{Serial: big.NewInt(2), NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(0, 1, 0)})
	if err != nil {
		return nil, err
	}
	if w.delegate, err = x509.ParseCertificate(raw); err != nil {
		return nil, err
	}
	for range n {
		var b [16]byte
		rand.Read(b[:])
		b[0] &= 0x7f
		b[0] |= 1
		w.serials = append(w.serials, new(big.Int).SetBytes(b[:]))
	}
	if err := w.ask(); err != nil {
		return nil, err
	}
	return w, w.write(caKey)
}

// ask makes the requests, each with and without a nonce.
func (w *world) ask() error {
	for _, n := range w.serials {
		plain, err := ocsp.NewRequest(w.ca, crypto.SHA1, nil, n)
		if err != nil {
			return err
		}
		nonce := make([]byte, 16)
		rand.Read(nonce)
		nonced, err := ocsp.NewRequest(w.ca, crypto.SHA1, nonce, n)
		if err != nil {
			return err
		}
		w.requests, w.noncedRequests = append(w.requests, plain), append(w.noncedRequests, nonced)
	}
	return nil
}

func (w *world) write(caKey *ecdsa.PrivateKey) error {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().AddDate(0, 0, 7)}
	var index, serials strings.Builder
	expires := time.Now().AddDate(0, 6, 0).UTC().Format("060102150405Z")
	for i, n := range w.serials {
		if i < w.revoked {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: time.Now().Add(-time.Hour), ReasonCode: 1})
			fmt.Fprintf(&index, "R\t%s\t%s,keyCompromise\t%032X\tunknown\t/CN=bench\n", expires, time.Now().Add(-time.Hour).UTC().Format("060102150405Z"), n)
		} else {
			fmt.Fprintf(&index, "V\t%s\t\t%032X\tunknown\t/CN=bench\n", expires, n)
		}
		fmt.Fprintf(&serials, "%032x\n", n)
	}
	crl, err := x509.CreateRevocationList(rand.Reader, list, w.ca, caKey)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(w.key)
	if err != nil {
		return err
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, text := range map[string][]byte{
		"ca.pem": block("CERTIFICATE", w.ca.Raw), "delegate.pem": block("CERTIFICATE", w.delegate.Raw), "delegate.key": block("PRIVATE KEY", key),
		"crl.der": crl, "index.txt": []byte(index.String()), "index.txt.attr": []byte("unique_subject = no\n"), "issued.txt": []byte(serials.String()),
	} {
		if err := os.WriteFile(w.file(name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

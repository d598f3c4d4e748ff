// Command ocsp answers OCSP for a CA of its own, over HTTP, and asks itself.
// It uses nothing of this module but the revocation packages: bring your own
// CA, and your own revocation.Source, which is two methods.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
)

// source is what was issued, by serial. OCSP needs no more than Status.
type source map[string]revocation.Status

func (s source) Status(_ context.Context, _ string, serial *big.Int) (revocation.Status, error) {
	return s[serial.String()], nil
}

func (s source) Revoked(context.Context, string, time.Time, func(*big.Int, revocation.Status) error) error {
	return errors.New("this source lists nothing: no CRL is made of it")
}

func main() { run(os.Stdout) }

func run(out io.Writer) {
	now := time.Now()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example CA"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	ca := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))

	issued := source{"100": {State: revocation.Good}, "101": {State: revocation.Revoked, Reason: revocation.KeyCompromise, At: now}}

	// The CA's key signs here. ocsp.NewDelegate makes a certificate for a key
	// that may do nothing else, so that the CA's may stay in its safe.
	issuer := must(ocsp.NewIssuer(ocsp.Credentials{CA: ca, Signer: key}))
	answers := must(ocsp.New(ocsp.Options{Source: issued, Issuers: ocsp.Fixed(issuer), Now: time.Now}))
	handler := must(responder.New(responder.Options{
		OCSP: func(context.Context, string) (*ocsp.Responder, error) { return answers, nil }, Now: time.Now,
	}))
	listener := must(new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0"))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	defer server.Close()
	go func() { _ = server.Serve(listener) }()

	// As a relying party: ask about three, and believe only what is signed.
	request := must(ocsp.NewRequest(ca, crypto.SHA256, nil, big.NewInt(100), big.NewInt(101), big.NewInt(102)))
	client := &http.Client{Timeout: 10 * time.Second}
	url := "http://" + listener.Addr().String() + responder.Prefix + "ocsp/example-ca"
	post := must(http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(request)))
	post.Header.Set("Content-Type", "application/ocsp-request")
	response, err := client.Do(post)
	must(0, err)
	defer response.Body.Close()
	body := must(io.ReadAll(io.LimitReader(response.Body, 1<<20)))
	verified := must(ocsp.Verify(body, ocsp.VerifyOptions{CA: ca, Now: time.Now()}))
	for _, a := range verified.Answers {
		fmt.Fprintf(out, "%v is %v", a.Serial, a.Status.State)
		if a.Status.State == revocation.Revoked {
			fmt.Fprintf(out, " (%v)", a.Status.Reason)
		}
		fmt.Fprintln(out)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

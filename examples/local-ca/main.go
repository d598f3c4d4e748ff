// Command local-ca uses one connector alone: a certificate authority in a
// folder, without database or server.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/local"
)

func main() {
	dir, err := os.MkdirTemp("", "certctl-local-ca-")
	if err == nil {
		err = run(context.Background(), dir, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run makes the CA in dir, or finds it there, and prints a certificate for
// localhost with the CA's own after it.
func run(ctx context.Context, dir string, w io.Writer) error {
	ca, err := local.Kind().Open(ctx, nil, connector.Env{Now: time.Now, Vault: connector.DirVault(dir)})
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // a real program keeps it
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	issued, err := ca.Issue(ctx, &issuer.Request{CSR: csr, CommonName: "localhost", DNSNames: []string{"localhost"}})
	if err != nil {
		return err
	}
	authority, _ := issuer.As[issuer.Authority](ca)
	certs, err := authority.Certificates(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s", chain.EncodePEM(issued.Leaf), chain.EncodePEM(certs...))
	return err
}

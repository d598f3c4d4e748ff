// Command embed runs certctl's engine inside another program: SQLite, a local
// CA, one certificate, printed.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/store"
)

func main() {
	dir, err := os.MkdirTemp("", "certctl-embed-")
	if err == nil {
		err = run(context.Background(), dir, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run keeps everything in dir, and prints a certificate for embed.example.com.
func run(ctx context.Context, dir string, w io.Writer) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	st, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "certctl.db"), Now: time.Now})
	if err != nil {
		return err
	}
	defer st.Close()
	key, err := secret.LoadOrCreateKeyFile(filepath.Join(dir, "encryption.key"))
	if err != nil {
		return err
	}
	sealer, err := secret.NewSealer(key)
	if err != nil {
		return err
	}
	issuers, err := connector.NewRegistry(local.Kind())
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Options{Store: st, Revocations: st, Issuers: issuers, Sealer: sealer, Now: time.Now})
	if err != nil {
		return err
	}
	done := make(chan struct{})
	work, end := context.WithCancel(ctx)
	go func() { defer close(done); _ = e.Run(work) }() // job worker and scheduler, until end
	defer func() { end(); <-done }()

	if err := e.EnsureDefaults(ctx); err != nil {
		return err
	}
	if _, err := e.CreateIssuer(ctx, engine.ConnectorInput{ID: "iss-local", Name: "Local CA", Type: "local"}); err != nil {
		return err
	}
	csr, err := newCSR("embed.example.com")
	if err != nil {
		return err
	}
	out, err := e.RequestCertificate(ctx, engine.CertificateRequest{SANs: []string{"embed.example.com"}, CSRPEM: csr})
	if err != nil {
		return err
	}
	job, err := e.WaitJob(ctx, out.Job.ID)
	if err != nil {
		return err
	}
	if job.Status != certctl.JobCompleted {
		return fmt.Errorf("%s: %s", job.Status, job.LastError)
	}
	pems, err := e.ExportPEM(ctx, out.Certificate.ID, "")
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(w, pems.FullPEM)
	return err
}

// newCSR makes a key, which a real program keeps, and a CSR for a name.
func newCSR(name string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), err
}

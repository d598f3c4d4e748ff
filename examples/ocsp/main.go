// Command ocsp answers OCSP for a CA of its own, over HTTP, and asks itself.
// It uses nothing of this module but the revocation packages: bring your own
// CA, and your own revocation.Source, which is two methods.
package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log"
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

func (s source) Revoked(context.Context, revocation.Selection, func(*big.Int, revocation.Status) error) error {
	return errors.New("this source lists nothing: no CRL is made of it")
}

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) error {
	now := time.Now()
	ca, key, err := newCA(now)
	if err != nil {
		return err
	}
	// The CA's key signs here. ocsp.NewDelegate makes a certificate for a key
	// that may do nothing else, so that the CA's may stay in its safe.
	issuer, err := ocsp.NewIssuer(ocsp.Credentials{CA: ca, Signer: key})
	if err != nil {
		return err
	}
	issued := source{"100": {State: revocation.Good}, "101": {State: revocation.Revoked, Reason: revocation.KeyCompromise, At: now}}
	answers, err := ocsp.New(ocsp.Options{Source: issued, Issuers: ocsp.Fixed(issuer), Now: time.Now})
	if err != nil {
		return err
	}
	handler, err := responder.New(responder.Options{
		OCSP: func(context.Context, string) (*ocsp.Responder, error) { return answers, nil }, Now: time.Now,
	})
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	defer server.Close()
	go func() { _ = server.Serve(listener) }()

	request, err := ocsp.NewRequest(ca, crypto.SHA256, nil, big.NewInt(100), big.NewInt(101), big.NewInt(102))
	if err != nil {
		return err
	}
	response, err := ask("http://"+listener.Addr().String()+responder.Prefix+"ocsp/example-ca", request)
	if err != nil {
		return err
	}
	// As a relying party: believe only what is signed.
	verified, err := ocsp.Verify(response, ocsp.VerifyOptions{CA: ca, Now: time.Now()})
	if err != nil {
		return err
	}
	for _, a := range verified.Answers {
		fmt.Fprintln(out, a.Serial, "is", a.Status.State)
	}
	return nil
}

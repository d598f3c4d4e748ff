package main

import (
	"bufio"
	"encoding/base64"
	"os"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"

	"context"
)

// answerer signs for the world as our servers do.
func (w *world) answerer() (*ocsp.Responder, error) {
	issuer, err := ocsp.NewIssuer(ocsp.Credentials{CA: w.ca, Cert: w.delegate, Signer: w.key})
	if err != nil {
		return nil, err
	}
	source := known{}
	for _, n := range w.serials {
		source[keyOf(n)] = struct{}{}
	}
	return ocsp.New(ocsp.Options{Source: struct{ revocation.Source }{source}, Issuers: ocsp.Fixed(issuer), Now: time.Now, Validity: 24 * time.Hour})
}

func answerSize(w *world) (int, error) {
	r, err := w.answerer()
	if err != nil {
		return 0, err
	}
	return len(r.Respond(context.Background(), w.requests[len(w.requests)-1]).DER), nil
}

// cfsslResponses writes the file of signed responses that cfssl ocspserve reads:
// base64, one a line.
func cfsslResponses(w *world) (string, error) {
	r, err := w.answerer()
	if err != nil {
		return "", err
	}
	f, err := os.Create(w.file("responses"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	for _, q := range w.requests {
		if _, err := out.WriteString(base64.StdEncoding.EncodeToString(r.Respond(context.Background(), q).DER) + "\n"); err != nil {
			return "", err
		}
	}
	return f.Name(), out.Flush()
}

package agent

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"github.com/certctl/certctl/certctl/api"
)

// csr makes the key of a generation, keeps it, and only then sends the CSR.
func (a *Agent) csr(ctx context.Context, w api.Work, log *slog.Logger) *api.Report {
	if err := checkID("certificate", w.CertificateID); err != nil {
		return final(w, err)
	}
	if w.Generation < 1 {
		return final(w, fmt.Errorf("generation %d of a certificate cannot be; the first is 1", w.Generation))
	}
	request, err := csrTemplate(w.CommonName, w.SANs)
	if err != nil {
		return final(w, err)
	}
	key, err := a.keys.prepare(w.CertificateID, w.Generation, w.KeyAlgorithm)
	if errors.Is(err, errNoSuchKey) {
		return final(w, err)
	}
	if err != nil {
		return notStarted(w, err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, request, key)
	if err != nil {
		return final(w, fmt.Errorf("make a CSR for certificate %s: %w", w.CertificateID, err))
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))

	var answer error
	v := a.insist(ctx, func(ctx context.Context) error {
		answer = a.o.Server.SubmitCSR(ctx, a.id, w.JobID, api.CSRSubmission{Fence: w.Fence, CSRPEM: text})
		return answer
	})
	switch v {
	case accepted:
		return nil
	case refused:
		return notStarted(w, fmt.Errorf("the control plane refuses the CSR: %w", answer))
	case temporary, unauthenticated:
		if errors.Is(context.Cause(ctx), errTooLong) {
			log.Warn("the CSR could not be sent in time; the control plane will hand out the work again")
		}
		return nil
	default:
		log.Warn("the control plane does not want this CSR any more; the work was cancelled or given to somebody else")
		return nil
	}
}

// csrTemplate sorts the names by what they are: a URI has "://", an e-mail
// address "@", an IP address is one; the rest are DNS names.
func csrTemplate(commonName string, sans []string) (*x509.CertificateRequest, error) {
	t := &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}
	for _, name := range sans {
		switch ip := net.ParseIP(name); {
		case name == "":
			return nil, errors.New("an empty name cannot be certified")
		case strings.Contains(name, "://"):
			u, err := url.Parse(name)
			if err != nil {
				return nil, fmt.Errorf("the name %.300q is no URI", name)
			}
			t.URIs = append(t.URIs, u)
		case strings.Contains(name, "@"):
			t.EmailAddresses = append(t.EmailAddresses, name)
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		default:
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	if commonName == "" && len(sans) == 0 {
		return nil, errors.New("the work names nothing to be certified: neither a common name nor a SAN")
	}
	return t, nil
}

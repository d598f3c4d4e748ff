package stepca

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/issuer"
)

const signPath = "/1.0/sign"

type signRequest struct {
	CSR       string `json:"csr"`
	Token     string `json:"ott"`
	NotBefore string `json:"notBefore,omitempty"` // RFC 3339
	NotAfter  string `json:"notAfter,omitempty"`  // RFC 3339, or how long after notBefore: "24h0m0s"
}

type signAnswer struct {
	Leaf   string   `json:"crt"`
	Issuer string   `json:"ca"`
	Chain  []string `json:"certChain"` // leaf first
}

// Issue asks for a certificate. The names of the CSR have to be those of the
// request. Refusals of the CA are of the kind issuer.ErrRefused, a token that it
// does not accept of the kind issuer.ErrConfig; when the answer got lost, the
// outcome is issuer.ErrUnknown, and nothing can tell it.
func (ca *CA) Issue(ctx context.Context, req *issuer.Request) (*issuer.Issued, error) {
	if req.CSR == nil || len(req.CSR.Raw) == 0 {
		return nil, issuer.Refusedf("step-ca: there is no CSR")
	}
	if err := keys.CheckPublic(req.CSR.PublicKey); err != nil {
		return nil, issuer.Refusedf("step-ca: the key of the CSR: %w", err)
	}
	if err := req.CSR.CheckSignature(); err != nil {
		return nil, issuer.Refusedf("step-ca: the CSR is not signed by its own key: %w", err)
	}
	for _, usage := range req.EKUs {
		if usage != "serverAuth" && usage != "clientAuth" {
			return nil, issuer.Refusedf("step-ca: the extended key usage %.40q cannot be asked for; the CA issues for serverAuth and clientAuth", usage)
		}
	}
	sub, sans, err := subject(req)
	if err != nil {
		return nil, err
	}
	notBefore, notAfter, err := ca.validity(req)
	if err != nil {
		return nil, err
	}
	s, err := ca.session(ctx)
	if err != nil {
		return nil, err
	}
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: req.CSR.Raw})
	a, err := ca.post(ctx, s, signPath, claims{Subject: sub, SANs: sans, Confirmation: confirm(req.CSR.Raw)}, func(token string) any {
		return signRequest{CSR: string(csr), Token: token, NotBefore: notBefore, NotAfter: notAfter}
	})
	if err != nil {
		return nil, err
	}
	return ca.issued(a.Body)
}

// validity is what is asked for. A NotBefore that is not in the future is left
// to the CA, which backdates by itself; so is a NotAfter that nobody wants.
func (ca *CA) validity(req *issuer.Request) (notBefore, notAfter string, err error) {
	const layout = time.RFC3339
	now := ca.now()
	start := now
	if req.NotBefore.After(now) {
		start = req.NotBefore
		notBefore = start.UTC().Format(layout)
	}
	if !req.NotAfter.IsZero() && !req.NotAfter.After(start) {
		return "", "", issuer.Refusedf("step-ca: the certificate would end at %s, before it begins", req.NotAfter.UTC().Format(layout))
	}
	most := time.Duration(ca.config.ValidityDays) * 24 * time.Hour
	switch {
	case most > 0 && (req.NotAfter.IsZero() || req.NotAfter.After(start.Add(most))):
		notAfter = most.String() // by the CA's clock, so that exactly its maximum can be asked for
	case !req.NotAfter.IsZero():
		notAfter = req.NotAfter.UTC().Format(layout)
	}
	return notBefore, notAfter, nil
}

// issued reads the answer. A certificate is handed on also when the rest of the
// answer is broken: it exists, and has to be known.
func (ca *CA) issued(body []byte) (*issuer.Issued, error) {
	var answer signAnswer
	err := json.Unmarshal(body, &answer)
	texts := append(slices.Clone(answer.Chain), answer.Issuer)
	if answer.Leaf == "" && len(texts) > 1 {
		answer.Leaf, texts = texts[0], texts[1:]
	}
	certs, leafErr := chain.Certificates([]byte(answer.Leaf))
	if err != nil || leafErr != nil {
		return nil, &issuer.Error{Kind: issuer.ErrUnknown, Err: errors.New("step-ca: the CA says that it signed, and there is no certificate in its answer that can be read; its log tells whether there is one")}
	}
	leaf := certs[0]
	var others []*x509.Certificate
	for _, text := range texts[:min(len(texts), chain.MaxCertificates)] {
		if c, err := chain.Certificates([]byte(text)); err == nil && !c[0].Equal(leaf) {
			others = append(others, c[0])
		}
	}
	above := chain.Build(leaf, others)
	if len(above) > 0 {
		ca.mu.Lock()
		ca.learned = above
		ca.mu.Unlock()
	} else {
		above = others // for the caller to judge
	}
	return &issuer.Issued{Leaf: leaf, Chain: slices.DeleteFunc(slices.Clone(above), chain.SelfSigned)}, nil
}

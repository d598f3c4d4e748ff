package stepca

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
)

const revokePath = "/1.0/revoke"

type revokeRequest struct {
	Serial     string `json:"serial"`
	Token      string `json:"ott"`
	ReasonCode int    `json:"reasonCode"` // RFC 5280 section 5.3.1
	Reason     string `json:"reason"`
	Passive    bool   `json:"passive"` // always: there is no other revocation in step-ca
}

// Revoke revokes at the CA; revoking what is revoked already succeeds, and
// leaves the first reason. The CA then renews the certificate no more and puts it
// on its CRL, if it makes one.
func (ca *CA) Revoke(ctx context.Context, cert *x509.Certificate, reason revocation.Reason, _ json.RawMessage) error {
	if cert == nil || cert.SerialNumber == nil {
		return issuer.Refusedf("step-ca: there is no certificate to revoke")
	}
	if !slices.Contains(revocation.Reasons, reason) && reason != revocation.AACompromise {
		return issuer.Refusedf("step-ca: a certificate cannot be revoked with the reason %s", reason)
	}
	s, err := ca.session(ctx)
	if err != nil {
		return err
	}
	serial := cert.SerialNumber.String()
	a, err := ca.post(ctx, s, revokePath, claims{Subject: serial}, func(token string) any {
		return revokeRequest{Serial: serial, Token: token, ReasonCode: int(reason), Reason: reason.String(), Passive: true}
	})
	if err != nil && a != nil && a.Status == http.StatusBadRequest && strings.Contains(explain(a, ""), "already revoked") {
		return nil
	}
	if err != nil {
		return err
	}
	var said struct{ Status string }
	if json.Unmarshal(a.Body, &said) != nil || said.Status != "ok" {
		return &issuer.Error{Kind: issuer.ErrUnknown, Err: errors.New("step-ca: the answer to the revocation is not what a step-ca says")}
	}
	return nil
}

// CRL fetches the CA's list as it is, in DER. When the CA makes none, the error
// is of the kind issuer.ErrConfig.
func (ca *CA) CRL(ctx context.Context) ([]byte, error) {
	client, err := ca.client(ctx)
	if err != nil {
		return nil, err
	}
	der, err := ca.get(ctx, client, "/1.0/crl")
	if errors.Is(err, issuer.ErrConfig) {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("the CA gives no CRL; has its ca.json \"crl\": {\"enabled\": true}, and a database? %w", err)}
	}
	if err != nil {
		return nil, err
	}
	if _, err := x509.ParseRevocationList(der); err != nil {
		return nil, issuer.NotDonef("step-ca: what the CA gave as its CRL is none: %w", err)
	}
	return der, nil
}

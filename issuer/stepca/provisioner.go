package stepca

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"

	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/issuer"
)

// provisioner is what the CA tells everybody about one.
type provisioner struct {
	Type         string          `json:"type"`
	Name         string          `json:"name"`
	Key          json.RawMessage `json:"key"`          // JWK: its public key
	EncryptedKey string          `json:"encryptedKey"` // JWK: its private key as a JWE, unless the CA does not keep it
	Roots        []byte          `json:"roots"`        // X5C: PEM
}

// The list comes in pages of at most 100 (step-ca's own limit).
const (
	pageSize = "100"
	maxPages = 100
)

// provisioner looks for the configured one in the CA's list.
func (ca *CA) provisioner(ctx context.Context, client *http.Client) (*provisioner, error) {
	cursor, other := "", ""
	for range maxPages {
		var page struct {
			Provisioners []json.RawMessage `json:"provisioners"`
			NextCursor   string            `json:"nextCursor"`
		}
		query := url.Values{"limit": {pageSize}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := ca.ask(ctx, client, "/1.0/provisioners?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		for _, text := range page.Provisioners {
			var which struct{ Type, Name string }
			if json.Unmarshal(text, &which) != nil || which.Name != ca.config.ProvisionerName {
				continue
			}
			if which.Type != ca.config.ProvisionerType {
				other = which.Type
				continue
			}
			p := new(provisioner)
			if err := json.Unmarshal(text, p); err != nil {
				return nil, issuer.NotDonef("step-ca: what the CA says of the provisioner %q cannot be read: %w", which.Name, err)
			}
			return p, nil
		}
		if page.NextCursor == "" || page.NextCursor == cursor {
			break
		}
		cursor = page.NextCursor
	}
	switch {
	case other == "ACME":
		return nil, wrong("provisioner_name", "the provisioner %q is of the type ACME: use an issuer of the kind acme for it", ca.config.ProvisionerName)
	case other != "":
		return nil, wrong("provisioner_type", "the provisioner %q is of the type %.20s at the CA, not %s", ca.config.ProvisionerName, other, ca.config.ProvisionerType)
	}
	return nil, wrong("provisioner_name", "the CA has no provisioner %q; its names are case-sensitive, and step ca provisioner list shows them", ca.config.ProvisionerName)
}

// decrypt opens the key that the CA keeps for a JWK provisioner.
func (ca *CA) decrypt(p *provisioner) (*credential, error) {
	if p.EncryptedKey == "" {
		return nil, wrong("provisioner_key_path", "is needed: the CA does not keep the private key of the provisioner %q", p.Name)
	}
	cred, field, err := parseKey(p.EncryptedKey, ca.config.Password)
	if err != nil {
		return nil, wrong(field, "the key of the provisioner %q that the CA keeps: %v", p.Name, err)
	}
	return cred, nil
}

// credential is that of the file, or else the one that the CA keeps, which is
// fetched once.
func (ca *CA) credential(ctx context.Context, client *http.Client) (*credential, error) {
	if ca.own != nil {
		return ca.own, nil
	}
	if err := ca.enter(ctx); err != nil {
		return nil, err
	}
	defer ca.leave()
	if ca.fetched != nil {
		return ca.fetched, nil
	}
	p, err := ca.provisioner(ctx, client)
	if err != nil {
		return nil, err
	}
	cred, err := ca.decrypt(p)
	if err != nil {
		return nil, err
	}
	ca.fetched = cred
	return cred, nil
}

// kept is the credential that the CA keeps, decrypted anew when it is for
// another public key than before.
func (ca *CA) kept(ctx context.Context, p *provisioner, public *jose.JSONWebKey) (*credential, error) {
	if err := ca.enter(ctx); err != nil {
		return nil, err
	}
	defer ca.leave()
	if c := ca.fetched; c != nil && keys.SameKey(c.key.Public(), public.Key) {
		return c, nil
	}
	cred, err := ca.decrypt(p)
	if err != nil {
		return nil, err
	}
	ca.fetched = cred
	return cred, nil
}

// renewed is the credential in place of one that the CA did not accept: a
// provisioner may have been given a new key. nil when it is still the same.
func (ca *CA) renewed(ctx context.Context, client *http.Client, old *credential) *credential {
	if old == ca.own || ca.enter(ctx) != nil {
		return nil
	}
	if ca.fetched == old {
		ca.fetched = nil
	}
	ca.leave()
	cred, err := ca.credential(ctx, client)
	if err != nil || keys.SameKey(cred.key.Public(), old.key.Public()) {
		return nil // what the CA said of the token tells more
	}
	return cred
}

// session is what a request to the CA needs.
type session struct {
	client *http.Client
	cred   *credential
}

func (ca *CA) session(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, issuer.NotDonef("step-ca: %w", err)
	}
	client, err := ca.client(ctx)
	if err != nil {
		return nil, err
	}
	cred, err := ca.credential(ctx, client)
	if err != nil {
		return nil, err
	}
	return &session{client, cred}, nil
}

// post signs a token for the path and the subject, and sends a body made with it.
func (ca *CA) post(ctx context.Context, s *session, path string, c claims, body func(token string) any) (*issuer.Answer, error) {
	try := func(cred *credential) (*issuer.Answer, error) {
		token, err := ca.token(cred, path, c)
		if err != nil {
			return nil, issuer.NotDonef("step-ca: the token cannot be signed: %w", err)
		}
		return ca.send(ctx, s.client, path, body(token), token)
	}
	a, err := try(s.cred)
	if a != nil && a.Status == http.StatusUnauthorized { // it did nothing
		if cred := ca.renewed(ctx, s.client, s.cred); cred != nil {
			a, err = try(cred)
		}
	}
	if err != nil {
		return a, err
	}
	if a.Status != http.StatusOK && a.Status != http.StatusCreated {
		return a, &issuer.Error{Kind: issuer.ErrUnknown, Err: fmt.Errorf("step-ca: the answer to POST %s has the status %d, which a step-ca does not give", path, a.Status)}
	}
	return a, nil
}

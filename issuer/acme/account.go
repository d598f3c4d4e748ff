package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mholt/acmez/v3/acme"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/issuer"
)

// Items of the vault.
const (
	keyItem = "account-key"
	urlItem = "account-url"
	eabItem = "eab"
)

// registered returns the account, which is made at the first time. Its key is
// stored before the CA sees it, and a registration that was repeated finds the
// account of the same key (RFC 8555 section 7.3.1), so there is only one.
func (ca *CA) registered(ctx context.Context) (*acme.Account, error) {
	ca.accountMu.Lock()
	defer ca.accountMu.Unlock()
	if ca.account != nil {
		return ca.account, nil
	}
	key, err := ca.vaulted(ctx, keyItem, func() ([]byte, error) {
		key, err := keys.Generate(keys.ECDSAP256)
		if err != nil {
			return nil, err
		}
		return keys.MarshalPEM(key)
	})
	if err != nil {
		return nil, err
	}
	signer, err := keys.ParsePEM(key)
	if err != nil {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("the account key in the vault cannot be read: %w", err)}
	}
	account := &acme.Account{PrivateKey: signer, TermsOfServiceAgreed: true}
	if ca.config.Email != "" {
		account.Contact = []string{"mailto:" + ca.config.Email}
	}
	stored, err := ca.vault.Get(ctx, urlItem)
	if err == nil {
		account.Location = string(stored)
		ca.account = account
		return account, nil
	}
	if !errors.Is(err, connector.ErrNoItem) {
		return nil, vaultError(err)
	}
	if err := ca.bind(ctx, account); err != nil {
		return nil, err
	}
	made, err := ca.client.NewAccount(ctx, *account)
	if err != nil {
		return nil, ca.explain("the account was not registered", err, false)
	}
	if made.Location == "" || made.Status != "" && made.Status != acme.StatusValid {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf(
			"the CA's account (%s) is %s; make another issuer, which registers a new one", made.Location, made.Status)}
	}
	account.Location = made.Location
	if _, err := ca.vault.Create(ctx, urlItem, []byte(made.Location)); err != nil {
		return nil, vaultError(err)
	}
	ca.account = account
	return account, nil
}

// vaulted reads an item, or makes it; the first writer of all replicas wins.
func (ca *CA) vaulted(ctx context.Context, name string, fresh func() ([]byte, error)) ([]byte, error) {
	value, err := ca.vault.Get(ctx, name)
	if errors.Is(err, connector.ErrNoItem) {
		if value, err = fresh(); err != nil {
			return nil, err
		}
		value, err = ca.vault.Create(ctx, name, value)
	}
	if err != nil {
		return nil, vaultError(err)
	}
	return value, nil
}

func vaultError(err error) error {
	return &issuer.Error{Kind: issuer.ErrNotDone, Err: fmt.Errorf("the account cannot be read from the vault: %w", err)}
}

// eab is an external account binding (RFC 8555 section 7.3.4).
type eab struct {
	KeyID string `json:"kid"`
	HMAC  string `json:"hmac"`
}

// bind adds the external account binding that the CA wants.
func (ca *CA) bind(ctx context.Context, account *acme.Account) error {
	d, err := ca.dir(ctx)
	if err != nil {
		return err
	}
	with := eab{ca.config.EABKid, strings.TrimRight(ca.config.EABHMAC.Reveal(), "=")}
	if with.KeyID == "" && ca.mailed() != "" {
		text, err := ca.vaulted(ctx, eabItem, func() ([]byte, error) { return ca.fetchEAB(ctx) })
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &with); err != nil {
			return &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("the account binding in the vault cannot be read: %w", err)}
		}
	}
	if with.KeyID == "" {
		if d.Meta != nil && d.Meta.ExternalAccountRequired {
			return &issuer.Error{Kind: issuer.ErrConfig, Err: errors.New(
				"the CA wants an external account binding: set eab_kid and eab_hmac to what it shows in your account there")}
		}
		return nil
	}
	if err := account.SetExternalAccountBinding(ctx, ca.client, acme.EAB{KeyID: with.KeyID, MACKey: with.HMAC}); err != nil {
		return ca.explain("the external account binding was not made", err, false)
	}
	return nil
}

// mailed is where the CA hands out account bindings by e-mail address, "" when it
// does not.
func (ca *CA) mailed() string {
	u, err := url.Parse(ca.config.DirectoryURL)
	if err != nil || ca.config.Email == "" || u.Hostname() != "acme.zerossl.com" {
		return ""
	}
	return "https://api.zerossl.com/acme/eab-credentials-email"
}

// fetchEAB asks ZeroSSL for an account binding.
func (ca *CA) fetchEAB(ctx context.Context) ([]byte, error) {
	form := url.Values{"email": {ca.config.Email}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ca.mailed(), strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := issuer.Do(ca.http, req, nil, ca.now())
	if err != nil {
		return nil, harmless(err)
	}
	var got struct {
		Success bool   `json:"success"`
		KeyID   string `json:"eab_kid"`
		HMAC    string `json:"eab_hmac_key"`
	}
	if err := json.Unmarshal(answer.Body, &got); err != nil || !got.Success || got.KeyID == "" || got.HMAC == "" {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf(
			"%s gave no account binding for %s; set eab_kid and eab_hmac to what your account there shows", ca.mailed(), ca.config.Email)}
	}
	return json.Marshal(eab{got.KeyID, got.HMAC})
}

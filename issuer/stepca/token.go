package stepca

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// Life of a token. It is not backdated as a whole: step-ca refuses one whose
// iat is before its own start, and grants a minute of skew.
const (
	tokenLife     = 5 * time.Minute
	tokenBackdate = time.Minute
)

// claims of a one-time token (RFC 7519 section 4.1, and step-ca's own).
type claims struct {
	Issuer       string        `json:"iss"`
	Audience     string        `json:"aud"`
	Subject      string        `json:"sub"`
	SANs         []string      `json:"sans,omitempty"`
	Root         string        `json:"sha,omitempty"`
	NotBefore    int64         `json:"nbf"`
	IssuedAt     int64         `json:"iat"`
	Expiry       int64         `json:"exp"`
	ID           string        `json:"jti"`
	Confirmation *confirmation `json:"cnf,omitempty"`
}

// confirmation binds a token to one CSR: a thief of the token cannot use it for
// a key of his own.
type confirmation struct {
	CSR string `json:"x5rt#S256"`
}

func confirm(csr []byte) *confirmation {
	sum := sha256.Sum256(csr)
	return &confirmation{base64.RawURLEncoding.EncodeToString(sum[:])}
}

// token signs one for a path of the CA; subject, names and confirmation are in
// c already.
func (ca *CA) token(cred *credential, path string, c claims) (string, error) {
	now := ca.now()
	c.Issuer, c.Root, c.ID = ca.config.ProvisionerName, ca.sha, rand.Text()
	c.NotBefore, c.IssuedAt, c.Expiry = now.Add(-tokenBackdate).Unix(), now.Unix(), now.Add(tokenLife).Unix()
	audience, err := url.Parse(ca.base + path)
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", cred.kid)
	if cred.chain != nil {
		// The fragment is how step-ca finds a provisioner whose key it does not know.
		audience.Fragment = "x5c/" + ca.config.ProvisionerName
		var x5c []string // RFC 7515 section 4.1.6
		for _, cert := range cred.chain {
			x5c = append(x5c, base64.StdEncoding.EncodeToString(cert.Raw))
		}
		options = options.WithHeader("x5c", x5c)
	}
	c.Audience = audience.String()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: cred.alg, Key: cryptosigner.Opaque(cred.key)}, options)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

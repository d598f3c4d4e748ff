package stepca

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/secret"
)

// Limits of a provisioner's key as a JWE.
const (
	maxKey = 64 << 10
	// maxIterations bounds what a JWE can make this process compute (RFC 7518
	// section 8.1); step writes 600,000. go-jose stops at the same number.
	maxIterations = 1_000_000
)

// credential signs tokens as a provisioner.
type credential struct {
	key   crypto.Signer
	kid   string
	alg   jose.SignatureAlgorithm
	chain []*x509.Certificate // for X5C, leaf first
}

// openKey takes the credential from files.
func openKey(ctx context.Context, c Config) (*credential, error) {
	if c.ProvisionerType == typeX5C {
		return openX5C(ctx, c)
	}
	text, err := secret.ReadFile(c.KeyPath, maxKey)
	if err != nil {
		return nil, wrong("provisioner_key_path", "%v", err)
	}
	cred, field, err := parseKey(string(text), c.Password)
	if err != nil {
		return nil, wrong(field, "%s: %v", c.KeyPath, err)
	}
	return cred, nil
}

func openX5C(ctx context.Context, c Config) (*credential, error) {
	key, err := keys.Open(ctx, c.KeyPath)
	if err != nil {
		return nil, wrong("provisioner_key_path", "%v", err)
	}
	certs, err := readCertificates(c.X5CCertPath)
	if err != nil {
		return nil, wrong("x5c_cert_path", "%v", err)
	}
	bundle, err := chain.Sort(certs)
	if err != nil {
		return nil, wrong("x5c_cert_path", "%s: %v", c.X5CCertPath, err)
	}
	leaf := bundle.Leaf()
	if !chain.Match(leaf, key) {
		return nil, wrong("x5c_cert_path", "the certificate %q is not for the key in provisioner_key_path", leaf.Subject)
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, wrong("x5c_cert_path", "the certificate %q may not sign tokens (key usage digitalSignature is missing)", leaf.Subject)
	}
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil, wrong("x5c_cert_path", "the certificate %q may not authenticate a client (extended key usage clientAuth is missing), which step-ca asks for", leaf.Subject)
	}
	cred, err := newCredential(key, "", "")
	if err != nil {
		return nil, wrong("provisioner_key_path", "%v", err)
	}
	cred.chain = bundle.Certificates
	return cred, nil
}

// parseKey reads a private JWK, or decrypts the JWE that one is in. The field
// is the one to blame. Of what go-jose says nothing is passed on, for it may
// show what it could not read.
func parseKey(text string, password secret.String) (cred *credential, field string, err error) {
	const field1, field2 = "provisioner_key_path", "provisioner_password"
	if len(text) > maxKey {
		return nil, field1, errors.New("the key is too long for one")
	}
	plain := []byte(text)
	read := jose.ParseEncryptedCompact // as in the CA's list
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		read = jose.ParseEncryptedJSON // as step writes a file
	}
	if box, err := read(text, passwordAlgorithms, contentAlgorithms); err == nil {
		if password.IsZero() {
			return nil, field2, errors.New("the key is encrypted, and there is no password")
		}
		if n, ok := box.Header.ExtraHeaders["p2c"].(float64); !ok || n < 1 || n > maxIterations {
			return nil, field1, errors.New("the key asks for an iteration count (p2c) that is not from 1 to 1,000,000")
		}
		if plain, err = box.Decrypt([]byte(password.Reveal())); err != nil {
			return nil, field2, errors.New("the key cannot be decrypted: the password is wrong, or the file is broken")
		}
	}
	var k jose.JSONWebKey
	if json.Unmarshal(plain, &k) != nil {
		return nil, field1, errors.New("the key is neither a JWE with a password as step writes it (PBES2) nor a JWK")
	}
	key, ok := k.Key.(crypto.Signer)
	if !ok || !k.Valid() {
		return nil, field1, errors.New("it is not a private key for signatures")
	}
	cred, err = newCredential(key, k.KeyID, k.Algorithm)
	return cred, field1, err
}

// What step uses, and its neighbours in RFC 7518 sections 4.1 and 5.1.
var (
	passwordAlgorithms = []jose.KeyAlgorithm{jose.PBES2_HS256_A128KW, jose.PBES2_HS384_A192KW, jose.PBES2_HS512_A256KW}
	contentAlgorithms  = []jose.ContentEncryption{jose.A128GCM, jose.A192GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A192CBC_HS384, jose.A256CBC_HS512}
)

// newCredential takes alg as a wish, and makes a missing key id as step does:
// the thumbprint of RFC 7638.
func newCredential(key crypto.Signer, kid, alg string) (*credential, error) {
	if err := keys.CheckPublic(key.Public()); err != nil {
		return nil, err
	}
	can := cryptosigner.Opaque(key).Algs()
	if len(can) == 0 {
		return nil, errors.New("tokens cannot be signed with a key of this kind")
	}
	c := &credential{key: key, kid: kid, alg: can[0]}
	if slices.Contains(can, jose.SignatureAlgorithm(alg)) {
		c.alg = jose.SignatureAlgorithm(alg)
	}
	if c.kid == "" {
		c.kid = thumbprint(key.Public())
	}
	return c, nil
}

// thumbprint is "" for a key that has none.
func thumbprint(key crypto.PublicKey) string {
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

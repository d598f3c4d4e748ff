package stepca_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/stepca"
	"github.com/certctl/certctl/revocation"
)

// TestStepCA is the whole life of certificates with a real step-ca.
func TestStepCA(t *testing.T) {
	c := startCA(t, true)
	for name, config := range map[string][]byte{
		"key kept by the CA":   c.config(),
		"system roots' place":  c.config("root_cert_path", nil, "root_fingerprint", strings.ToUpper(chain.Fingerprint(c.root))),
		"JWE of step":          c.config("provisioner_name", "other", "provisioner_key_path", c.in("other.json"), "provisioner_password", secondPassword),
		"plain JWK, RSA":       c.config("provisioner_name", "rsa", "provisioner_key_path", c.in("rsa.json"), "provisioner_password", nil),
		"plain JWK, Ed25519":   c.config("provisioner_name", "okp", "provisioner_key_path", c.in("okp.json"), "provisioner_password", nil),
		"X5C":                  c.x5c(),
		"slash at the URL end": c.config("ca_url", c.url+"/"),
	} {
		t.Run(name, func(t *testing.T) {
			ca := open(t, config)
			if err := ca.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			got := issue(t, ca, csr(t, issuer.Request{DNSNames: []string{"a.example.com", "B.example.com"}, IPs: []string{"10.0.0.1", "2001:db8::1"}}), c.root)
			if cn := got.Leaf.Subject.CommonName; cn != "a.example.com" {
				t.Errorf("common name %q", cn)
			}
			if err := ca.Revoke(t.Context(), got.Leaf, revocation.Superseded, got.State); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("issue", func(t *testing.T) { issueAll(t, c) })
	t.Run("refused", func(t *testing.T) { refused(t, c) })
	t.Run("revoke", func(t *testing.T) { revoke(t, c) })
	t.Run("authority", func(t *testing.T) { authority(t, c) })
	t.Run("configuration", func(t *testing.T) { misconfigured(t, c) })
	t.Run("concurrency", func(t *testing.T) { concurrently(t, c) })
	c.stop()
	t.Run("down", func(t *testing.T) { down(t, c) })
}

func issueAll(t *testing.T, c *realCA) {
	ca := open(t, c.config())
	for name, r := range map[string]issuer.Request{
		"one name":      {DNSNames: []string{"one.example.com"}},
		"common name":   {CommonName: "two.example.com", DNSNames: []string{"one.example.com", "two.example.com"}},
		"not a host":    {CommonName: "Printer in room 5", DNSNames: []string{"printer.example.com"}, EKUs: []string{"clientAuth"}},
		"every kind":    {DNSNames: []string{"*.example.com"}, IPs: []string{"::ffff:10.0.0.2", "fe80::1"}, Emails: []string{"who@example.com"}, URIs: []string{"spiffe://example.com/a/b", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"}},
		"same twice":    {DNSNames: []string{"one.example.com", "one.example.com"}},
		"address alone": {IPs: []string{"127.0.0.1"}},
		"ECDSA no CN":   {Emails: []string{"who@example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			req := csr(t, r)
			got := issue(t, ca, req, c.root)
			if r.CommonName != "" && got.Leaf.Subject.CommonName != r.CommonName {
				t.Errorf("common name %q", got.Leaf.Subject.CommonName)
			}
			if slices.ContainsFunc(got.Chain, chain.SelfSigned) || len(got.Chain) != 1 {
				t.Errorf("a chain of %d", len(got.Chain))
			}
		})
	}
	t.Run("other spelling", func(t *testing.T) {
		req := csr(t, issuer.Request{DNSNames: []string{"Case.Example.com"}})
		req.DNSNames = []string{"case.example.com"}
		issue(t, ca, req, c.root)
	})
	t.Run("host in the subject alone", func(t *testing.T) {
		tmpl := &x509.CertificateRequest{}
		tmpl.Subject.CommonName = "old.example.com"
		issue(t, ca, &issuer.Request{CSR: sign(t, tmpl), DNSNames: []string{"old.example.com"}}, c.root)
	})
	t.Run("second name in the subject, X5C", func(t *testing.T) {
		tmpl := &x509.CertificateRequest{DNSNames: []string{"a.example.com", "b.example.com"}}
		tmpl.Subject.CommonName = "b.example.com"
		issue(t, open(t, c.x5c()), &issuer.Request{CSR: sign(t, tmpl), DNSNames: tmpl.DNSNames}, c.root)
	})
	t.Run("renewal", func(t *testing.T) {
		first := issue(t, ca, csr(t, issuer.Request{DNSNames: []string{"renewed.example.com"}}), c.root)
		second := issue(t, ca, csr(t, issuer.Request{DNSNames: []string{"renewed.example.com"}, Replaces: first.Leaf}), c.root)
		if first.Leaf.SerialNumber.Cmp(second.Leaf.SerialNumber) == 0 {
			t.Error("one serial number")
		}
	})
	validity(t, c)
}

func validity(t *testing.T, c *realCA) {
	now := time.Now()
	for name, v := range map[string]struct {
		days   int
		r      issuer.Request
		from   time.Time
		expect time.Time
	}{
		"the CA's default":             {0, issuer.Request{}, now, now.Add(24 * time.Hour)},
		"the request's":                {0, issuer.Request{NotBefore: now.Add(-5 * time.Minute), NotAfter: now.Add(7 * time.Hour)}, now, now.Add(7 * time.Hour)},
		"the configuration's":          {30, issuer.Request{}, now, now.Add(720 * time.Hour)},
		"the shorter one, request":     {10, issuer.Request{NotAfter: now.Add(7 * time.Hour)}, now, now.Add(7 * time.Hour)},
		"the shorter one, config":      {1, issuer.Request{NotAfter: now.Add(9000 * time.Hour)}, now, now.Add(24 * time.Hour)},
		"in the future":                {0, issuer.Request{NotBefore: now.Add(time.Hour), NotAfter: now.Add(3 * time.Hour)}, now.Add(time.Hour), now.Add(3 * time.Hour)},
		"in the future, for some days": {2, issuer.Request{NotBefore: now.Add(time.Hour)}, now.Add(time.Hour), now.Add(49 * time.Hour)},
	} {
		t.Run("validity: "+name, func(t *testing.T) {
			v.r.DNSNames = []string{"valid.example.com"}
			req := csr(t, v.r)
			got := issue(t, open(t, c.config("validity_days", v.days, "provisioner_name", "rsa", "provisioner_key_path", c.in("rsa.json"))), req, c.root).Leaf
			if d := got.NotAfter.Sub(v.expect).Abs(); d > time.Minute {
				t.Errorf("ends at %s, not %s", got.NotAfter, v.expect)
			}
			if d := got.NotBefore.Sub(v.from).Abs(); d > 2*time.Minute {
				t.Errorf("begins at %s, not %s", got.NotBefore, v.from)
			}
			if name == "the request's" && got.NotAfter.After(req.NotAfter) {
				t.Error("longer than the request")
			}
		})
	}
}

// refused: what the CA or we do not do is final, and said.
func refused(t *testing.T, c *realCA) {
	ca := open(t, c.config())
	names := []string{"a.example.com", "b.example.com"}
	both := csr(t, issuer.Request{DNSNames: names})
	other := csr(t, issuer.Request{CommonName: "c.example.com", DNSNames: names})
	broken := *both.CSR
	broken.Signature = append([]byte{}, broken.Signature...)
	broken.Signature[len(broken.Signature)-1] ^= 1
	for name, v := range map[string]struct {
		req  issuer.Request
		says string
	}{
		"no CSR":                  {issuer.Request{DNSNames: names}, "no CSR"},
		"forged CSR":              {issuer.Request{CSR: &broken, DNSNames: names}, "not signed by its own key"},
		"no names":                {issuer.Request{CSR: both.CSR}, "no SANs"},
		"a name not in the CSR":   {issuer.Request{CSR: both.CSR, DNSNames: append(names, "d.example.com")}, "lacks d.example.com"},
		"an address not in it":    {issuer.Request{CSR: both.CSR, DNSNames: names, IPs: []string{"10.0.0.1"}}, "lacks 10.0.0.1"},
		"a name too much in it":   {issuer.Request{CSR: both.CSR, DNSNames: names[:1]}, "has besides b.example.com"},
		"address as DNS name":     {issuer.Request{CSR: both.CSR, DNSNames: []string{"10.0.0.1"}}, "no DNS name"},
		"DNS name as address":     {issuer.Request{CSR: both.CSR, IPs: []string{"a.example.com"}}, "no IP address"},
		"URI as DNS name":         {issuer.Request{CSR: both.CSR, DNSNames: []string{"https://a"}}, "no DNS name"},
		"host as e-mail":          {issuer.Request{CSR: both.CSR, Emails: []string{"a.example.com"}}, "no e-mail address"},
		"common name of the CSR":  {issuer.Request{CSR: other.CSR, DNSNames: names}, "not among the names"},
		"common name, another":    {issuer.Request{CSR: other.CSR, CommonName: names[0], DNSNames: names}, "the CA compares"},
		"usage":                   {issuer.Request{CSR: both.CSR, DNSNames: names, EKUs: []string{"codeSigning"}}, "codeSigning"},
		"over already":            {issuer.Request{CSR: both.CSR, DNSNames: names, NotAfter: time.Now().Add(-time.Hour)}, "before it begins"},
		"longer than the maximum": {issuer.Request{CSR: both.CSR, DNSNames: names, NotAfter: time.Now().Add(9000 * time.Hour)}, "set validity_days"},
		"shorter than minimum":    {issuer.Request{CSR: both.CSR, DNSNames: names, NotAfter: time.Now().Add(time.Minute)}, "403"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ca.Issue(t.Context(), &v.req)
			if !errors.Is(err, issuer.ErrRefused) || !strings.Contains(err.Error(), v.says) {
				t.Errorf("%v", err)
			}
			noSecret(t, err)
		})
	}
}

func revoke(t *testing.T, c *realCA) {
	for name, config := range map[string][]byte{"JWK": c.config(), "X5C": c.x5c()} {
		ca := open(t, config)
		for _, reason := range append(slices.Clone(revocation.Reasons), revocation.AACompromise) {
			t.Run(name+" "+reason.String(), func(t *testing.T) {
				leaf := issue(t, ca, csr(t, issuer.Request{DNSNames: []string{"revoked.example.com"}}), c.root).Leaf
				for range 2 {
					if err := ca.Revoke(t.Context(), leaf, reason, nil); err != nil {
						t.Fatal(err)
					}
				}
				der, err := ca.CRL(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				list, err := x509.ParseRevocationList(der)
				if err != nil {
					t.Fatal(err)
				}
				certs, err := ca.Certificates(t.Context())
				if err != nil || list.CheckSignatureFrom(certs[0]) != nil {
					t.Errorf("the CRL is not the CA's: %v", err)
				}
				i := slices.IndexFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(leaf.SerialNumber) == 0 })
				if i < 0 || list.RevokedCertificateEntries[i].ReasonCode != int(reason) {
					t.Errorf("the CRL does not tell it: %d", i)
				}
			})
		}
	}
	ca := open(t, c.config())
	for _, reason := range []revocation.Reason{revocation.RemoveFromCRL, 7, -1, 11} {
		if err := ca.Revoke(t.Context(), serial(1), reason, nil); !errors.Is(err, issuer.ErrRefused) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if err := ca.Revoke(t.Context(), nil, revocation.Unspecified, nil); !errors.Is(err, issuer.ErrRefused) {
		t.Error(err)
	}
}

func authority(t *testing.T, c *realCA) {
	certs, err := open(t, c.config()).Certificates(t.Context())
	if err != nil || len(certs) != 2 {
		t.Fatalf("%d certificates, %v", len(certs), err)
	}
	if !certs[0].Equal(readPEM(t, c.in("certs/intermediate_ca.crt"))[0]) || !certs[1].Equal(c.root) {
		t.Error("not the intermediate and the root")
	}
}

// misconfigured: each mistake is of the kind ErrConfig, at the check as well as
// when issuing, and tells what to mend.
func misconfigured(t *testing.T, c *realCA) {
	stranger, _ := certificate(t, "stranger", nil, nil)
	c.write(t, "stranger.pem", string(chain.EncodePEM(stranger)))
	c.write(t, "not-a-key", "canary-of-the-provisioner is no key")
	strangerDir := *c
	strangerDir.dir = t.TempDir()
	strangerDir.makeX5C(t)
	port := c.url[strings.LastIndex(c.url, ":"):]
	for name, v := range map[string]struct {
		config  []byte
		says    string
		openErr bool
	}{
		"wrong password":        {c.config("provisioner_password", "canary-wrong"), "password is wrong", false},
		"wrong password, file":  {c.config("provisioner_name", "other", "provisioner_key_path", c.in("other.json"), "provisioner_password", "canary-wrong"), "password is wrong", true},
		"no password, file":     {c.config("provisioner_name", "other", "provisioner_key_path", c.in("other.json"), "provisioner_password", nil), "no password", true},
		"no key":                {c.config("provisioner_key_path", c.in("not-a-key")), "neither a JWE", true},
		"public key":            {c.config("provisioner_key_path", c.in("rsa.pub"), "provisioner_password", nil), "not a private key", true},
		"missing file":          {c.config("provisioner_key_path", c.in("none")), "no such file", true},
		"wrong name":            {c.config("provisioner_name", "Admin"), `no provisioner "Admin"`, false},
		"wrong name, file":      {c.config("provisioner_name", "nobody", "provisioner_key_path", c.in("rsa.json")), "nobody", false},
		"ACME":                  {c.config("provisioner_name", "acme-7"), "kind acme", false},
		"wrong type":            {c.config("provisioner_name", "x5c"), "of the type X5C", false},
		"key of another":        {c.config("provisioner_key_path", c.in("rsa.json")), "not the key of the provisioner", false},
		"key not kept":          {c.config("provisioner_name", "other"), "does not keep", false},
		"X5C of another CA":     {c.x5c("provisioner_key_path", strangerDir.in("x5c.key"), "x5c_cert_path", strangerDir.in("x5c.pem")), "does not accept", false},
		"X5C of another key":    {c.x5c("x5c_cert_path", strangerDir.in("x5c.pem")), "not for the key", true},
		"X5C cannot sign":       {c.x5c("provisioner_key_path", c.in("secrets/root_ca_key")), "provisioner_key_path", true},
		"wrong fingerprint":     {c.config("root_cert_path", nil, "root_fingerprint", chain.Fingerprint(stranger)), "no root certificate of this fingerprint", false},
		"intermediate's":        {c.config("root_cert_path", nil, "root_fingerprint", chain.Fingerprint(readPEM(t, c.in("certs/intermediate_ca.crt"))[0])), "no root certificate of this fingerprint", false},
		"wrong root":            {c.config("root_cert_path", c.in("stranger.pem")), "root_fingerprint", false},
		"system roots":          {c.config("root_cert_path", nil), "root_fingerprint", false},
		"name of nobody in TLS": {c.config("ca_url", "https://localhost"+port), "dnsNames", false},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := stepca.Kind().Open(t.Context(), v.config, environment(t))
			if v.openErr {
				if !errors.Is(err, issuer.ErrConfig) || !strings.Contains(err.Error(), v.says) {
					t.Errorf("open: %v", err)
				}
				noSecret(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ca := i.(*stepca.CA)
			err = ca.Check(t.Context())
			if !errors.Is(err, issuer.ErrConfig) || !strings.Contains(err.Error(), v.says) {
				t.Errorf("check: %v", err)
			}
			noSecret(t, err)
			_, err = ca.Issue(t.Context(), csr(t, issuer.Request{DNSNames: []string{"a.example.com"}}))
			if !errors.Is(err, issuer.ErrConfig) {
				t.Errorf("issue: %v", err)
			}
			noSecret(t, err)
			err = ca.Revoke(t.Context(), serial(99), revocation.Superseded, nil)
			if !errors.Is(err, issuer.ErrConfig) {
				t.Errorf("revoke: %v", err)
			}
			noSecret(t, err)
		})
	}
}

func concurrently(t *testing.T, c *realCA) {
	ca := open(t, c.config("root_cert_path", nil, "root_fingerprint", chain.Fingerprint(c.root)))
	var wg sync.WaitGroup
	seen := sync.Map{}
	for i := range 16 {
		req := csr(t, issuer.Request{DNSNames: []string{fmt.Sprintf("n%d.example.com", i)}})
		wg.Go(func() {
			got, err := ca.Issue(t.Context(), req)
			if err == nil {
				err = issuer.Judge(req, got, nil, time.Now())
			}
			if err == nil && i%2 == 0 {
				err = ca.Revoke(t.Context(), got.Leaf, revocation.Superseded, got.State)
			}
			if err == nil && i%4 == 1 {
				err = errors.Join(ca.Check(t.Context()), func() error { _, err := ca.Certificates(t.Context()); return err }())
			}
			if err != nil {
				t.Error(err)
				return
			}
			if _, twice := seen.LoadOrStore(got.Leaf.SerialNumber.String(), true); twice {
				t.Error("one certificate for two requests")
			}
		})
	}
	wg.Wait()
}

func down(t *testing.T, c *realCA) {
	for name, config := range map[string][]byte{
		"root file": c.config(), "fingerprint": c.config("root_cert_path", nil, "root_fingerprint", chain.Fingerprint(c.root)),
		"key file": c.config("provisioner_name", "rsa", "provisioner_key_path", c.in("rsa.json")), "X5C": c.x5c(),
	} {
		ca := open(t, config)
		_, issueErr := ca.Issue(t.Context(), csr(t, issuer.Request{DNSNames: []string{"a.example.com"}}))
		_, certsErr := ca.Certificates(t.Context())
		_, crlErr := ca.CRL(t.Context())
		for what, err := range map[string]error{"issue": issueErr, "certificates": certsErr, "CRL": crlErr, "check": ca.Check(t.Context()), "revoke": ca.Revoke(t.Context(), serial(1), revocation.Superseded, nil)} {
			var op *net.OpError
			if !errors.Is(err, issuer.ErrNotDone) || !errors.As(err, &op) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

// TestNoCRL: a CA that makes no CRL says so.
func TestNoCRL(t *testing.T) {
	c := startCA(t, false)
	_, err := open(t, c.config()).CRL(t.Context())
	if !errors.Is(err, issuer.ErrConfig) || !strings.Contains(err.Error(), `"enabled": true`) {
		t.Error(err)
	}
}

// noSecret: whoever reads an error learns no password and no token.
func noSecret(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{"canary", "eyJ"} {
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)), secret) {
			t.Errorf("%s is in the error: %v", secret, err)
		}
	}
}

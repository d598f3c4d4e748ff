package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certctl/certctl/certctl/api"
)

// request makes a CSR for csr.example.com with OpenSSL and returns its file.
func request(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "csr.pem")
	all := append([]string{"req", "-new", "-nodes", "-keyout", filepath.Join(dir, "key.pem"), "-out", path, "-subj", "/CN=csr.example.com"}, args...)
	if !strings.Contains(strings.Join(args, " "), "-newkey") {
		all = append(all, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
	}
	must(t, "openssl", all...)
	return path
}

// tampered changes the last byte of a CSR's signature.
func tampered(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	block.Bytes[len(block.Bytes)-1] ^= 1
	return file(t, "csr.pem", string(pem.EncodeToMemory(block)))
}

// crowded is a CSR with many names.
func crowded(t *testing.T, n int) string {
	t.Helper()
	names := []string{"csr.example.com"}
	for i := range n {
		names = append(names, fmt.Sprintf("n%d.example.com", i))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "csr.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
}

func TestBadRequestsAreRefused(t *testing.T) {
	d := newDev(t)
	const san = "subjectAltName=DNS:csr.example.com"
	good := request(t, "-addext", san)
	d.mustCLI("certs", "create", "--id", "mc-csr", "--cn", "csr.example.com", "--san", "csr.example.com", "--csr", good, "--wait")
	admin, err := os.ReadFile(d.ready["admin_key_file"])
	if err != nil {
		t.Fatal(err)
	}
	before := d.state() + d.mustCLI("certs", "versions", "mc-csr", "-o", "json")

	for name, c := range map[string]struct{ csr, why string }{
		"extra name":        {request(t, "-addext", san+",DNS:evil.example.com"), `"evil.example.com", which was not requested`},
		"extra address":     {request(t, "-addext", san+",IP:192.0.2.1"), `192.0.2.1`},
		"extra e-mail":      {request(t, "-addext", san+",email:root@example.com"), `root@example.com`},
		"extra URI":         {request(t, "-addext", san+",URI:spiffe://example.com/admin"), `spiffe://example.com/admin`},
		"wildcard":          {request(t, "-addext", san+",DNS:*.example.com"), `*.example.com`},
		"another subject":   {request(t, "-subj", "/CN=evil.example.com", "-addext", san), `evil.example.com`},
		"organisation":      {request(t, "-subj", "/O=Evil/CN=csr.example.com", "-addext", san), `Evil`},
		"CA:TRUE":           {request(t, "-addext", san, "-addext", "basicConstraints=critical,CA:TRUE"), "CA"},
		"signs others":      {request(t, "-addext", san, "-addext", "keyUsage=critical,keyCertSign,cRLSign"), "the key usage of a CA"},
		"signs code":        {request(t, "-addext", san, "-addext", "extendedKeyUsage=codeSigning"), "codeSigning"},
		"RSA 1024":          {request(t, "-newkey", "rsa:1024", "-addext", san), "1024"},
		"a curve too small": {request(t, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224r1", "-addext", san), "csr_pem"},
		"broken signature":  {tampered(t, good), "signature"},
		"10,000 names":      {crowded(t, 10_000), "csr"},
		"1,000 names":       {crowded(t, 1_000), "1001 names"},
		"2 MB":              {file(t, "csr.pem", "-----BEGIN CERTIFICATE REQUEST-----\n"+strings.Repeat("A", 2<<20)+"\n-----END CERTIFICATE REQUEST-----\n"), "csr"},
		"no CSR":            {file(t, "csr.pem", "hello"), "csr"},
	} {
		for verb, args := range map[string][]string{
			"create": {"certs", "create", "--name", "bad", "--cn", "csr.example.com", "--san", "csr.example.com"},
			"renew":  {"certs", "renew", "mc-csr"},
		} {
			t.Run(name+", "+verb, func(t *testing.T) {
				out, err := d.cli(append(args, "--csr", c.csr)...)
				if err == nil {
					t.Fatalf("accepted: %s", out)
				}
				if !strings.Contains(out, c.why) || len(out) > 8192 || strings.Contains(out, "goroutine") {
					t.Errorf("the reason lacks %q, or is long: %.1000s", c.why, out)
				}
			})
		}
	}

	bodies := map[string]struct {
		body any
		code string
	}{
		"10,000 names": {api.CertificateRequest{SANs: strings.Fields(strings.Repeat("a.example.com ", 10_000))}, "422"},
		"2 MB":         {api.CertificateRequest{SANs: []string{"csr.example.com"}, CSRPEM: strings.Repeat("A", 2<<20)}, "413"},
		"CSR, 100 kB":  {api.CertificateRequest{SANs: []string{"csr.example.com"}, CSRPEM: strings.Repeat("A", 100<<10)}, "422"},
	}
	for name, c := range bodies {
		t.Run("API, "+name, func(t *testing.T) {
			text, err := json.Marshal(c.body)
			if err != nil {
				t.Fatal(err)
			}
			for _, transfer := range []string{"Expect:", "Transfer-Encoding: chunked"} {
				answer := filepath.Join(t.TempDir(), "answer")
				code := must(t, "curl", "--http1.1", "-sS", "--noproxy", "*", "--cacert", d.ready["ca_file"], "-o", answer, "-w", "%{http_code}", "-H", "Content-Type: application/json", "-H", transfer,
					"-H", "Authorization: Bearer "+string(bytes.TrimSpace(admin)), "--data-binary", "@"+file(t, "body.json", string(text)), d.ready["server_url"]+"/api/v1/certificates")
				problem, err := os.ReadFile(answer)
				var p struct{ Type, Title, Detail string }
				if err != nil || code != c.code || json.Unmarshal(problem, &p) != nil || p.Detail == "" || len(problem) > 8192 {
					t.Errorf("%s: %s, want %s: %.1000s", transfer, code, c.code, problem)
				}
			}
		})
	}
	if after := d.state() + d.mustCLI("certs", "versions", "mc-csr", "-o", "json"); after != before {
		t.Errorf("something was issued or changed: %s, then %s", before, after)
	}
}

// TestAnAgentIssuesOnlyWhatWasAsked has an agent answer with CSRs for more than
// its job says.
func TestAnAgentIssuesOnlyWhatWasAsked(t *testing.T) {
	d := newDev(t)
	a := d.join("greedy")
	d.mustCLI("targets", "create", "--id", "tgt-a", "--name", "a", "--type", "files", "--agent-id", a.AgentID, "--config", `{"cert_path":"/nowhere/a.pem","key_path":"/nowhere/a.key"}`)
	d.mustCLI("certs", "create", "--id", "mc-a", "--cn", "csr.example.com", "--san", "csr.example.com", "--target-id", "tgt-a")
	agent := d.with(a.Credential)
	work, err := agent.ClaimWork(t.Context(), a.AgentID, api.WorkRequest{WaitSeconds: 10, Max: 1})
	if err != nil || len(work.Work) != 1 {
		t.Fatalf("%+v, %v", work, err)
	}
	w := work.Work[0]
	const san = "subjectAltName=DNS:csr.example.com"
	for name, path := range map[string]string{
		"another name": request(t, "-addext", san+",DNS:evil.example.com"),
		"CA:TRUE":      request(t, "-addext", san, "-addext", "basicConstraints=critical,CA:TRUE"),
		"weak key":     request(t, "-newkey", "rsa:1024", "-addext", san),
		"tampered":     tampered(t, request(t, "-addext", san)),
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		err = agent.SubmitCSR(t.Context(), a.AgentID, w.JobID, api.CSRSubmission{Fence: w.Fence, CSRPEM: string(text)})
		if err == nil || !strings.Contains(err.Error(), "csr_pem") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var c certificate
	if d.object(&c, "certs", "get", "mc-a"); c.Generation != 0 || c.Serial != "" {
		t.Errorf("something was issued: %+v", c)
	}
}

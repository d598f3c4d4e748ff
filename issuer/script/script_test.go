//go:build unix

package script_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/issuertest"
	"github.com/certctl/certctl/issuer/script"
)

const password = "canary-of-the-ca-key"

// opensslCA is an "openssl ca" with the scripts that put it behind certctl.
type opensslCA struct{ dir string }

func (c *opensslCA) path(name string) string { return filepath.Join(c.dir, name) }

// The scripts take turns: openssl's database is one file.
var scripts = map[string]string{
	"sign": `exec 9>"$DIR/lock"; flock 9
req="$DIR/$CERTCTL_REQUEST_KEY"
cat > "$req.csr"
san=""
IFS=,
for n in $CERTCTL_DNS_NAMES; do san="$san,DNS:$n"; done
for n in $CERTCTL_IPS; do san="$san,IP:$n"; done
unset IFS
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n' "${san#,}" > "$req.ext"
openssl ca -batch -notext -config "$DIR/ca.cnf" -passin env:CA_PASSWORD -subj "/CN=$CERTCTL_COMMON_NAME" -extfile "$req.ext" -in "$req.csr" -out "$req.pem" >&2
cat "$req.pem" "$DIR/ca.pem"
`,
	"find": `cat > /dev/null; [ ! -s "$DIR/$CERTCTL_REQUEST_KEY.pem" ] || cat "$DIR/$CERTCTL_REQUEST_KEY.pem" "$DIR/ca.pem"`,
	"revoke": `exec 9>"$DIR/lock"; flock 9
cat > "$DIR/revoke.pem"
openssl ca -config "$DIR/ca.cnf" -passin env:CA_PASSWORD -revoke "$DIR/revoke.pem" -crl_reason "$CERTCTL_REASON" 2> "$DIR/revoke.log" || grep -qi 'already revoked' "$DIR/revoke.log" || { cat "$DIR/revoke.log" >&2; exit 1; }
`,
	"crl": `exec 9>"$DIR/lock"; flock 9
openssl ca -config "$DIR/ca.cnf" -passin env:CA_PASSWORD -gencrl
`,
}

func newCA(t testing.TB) *opensslCA {
	t.Helper()
	openssl := peer.Need(t, "openssl")
	c := &opensslCA{t.TempDir()}
	write(t, c.path("ca.cnf"), `[ca]
default_ca = it
[it]
dir = `+c.dir+`
database = $dir/index.txt
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
rand_serial = yes
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
unique_subject = no
[any]
commonName = optional
[req]
distinguished_name = dn
x509_extensions = v3
[dn]
[v3]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
`, 0o600)
	write(t, c.path("index.txt"), "", 0o600)
	cmd := exec.Command(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-config", c.path("ca.cnf"),
		"-subj", "/CN=Script CA", "-days", "100", "-keyout", c.path("ca.key"), "-out", c.path("ca.pem"), "-passout", "env:CA_PASSWORD")
	cmd.Env = append(os.Environ(), "CA_PASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, body := range scripts {
		write(t, c.path(name), "#!/bin/sh\nset -eu\n"+body, 0o700)
	}
	return c
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (c *opensslCA) config(t testing.TB, more map[string]any) json.RawMessage {
	t.Helper()
	m := map[string]any{
		"sign_script": []string{c.path("sign")}, "revoke_script": []string{c.path("revoke")}, "crl_script": []string{c.path("crl")},
		"find_script": []string{c.path("find")}, "ca_cert_path": c.path("ca.pem"),
		"environment": []map[string]string{{"name": "DIR", "value": c.dir}},
		"secrets":     []map[string]string{{"name": "CA_PASSWORD", "value": password}},
	}
	for k, v := range more {
		m[k] = v
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func open(t testing.TB, config json.RawMessage) issuer.Issuer {
	t.Helper()
	i, err := script.Kind().Open(t.Context(), config, connector.Env{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

type lister interface {
	CRL(context.Context) ([]byte, error)
}

// TestSuite: the contract of every issuer, on a real "openssl ca".
func TestSuite(t *testing.T) {
	c, foreign := newCA(t), newCA(t)
	hostile := map[string]string{
		"hangs": "sleep 1000", "prints without end": "yes", "HTML": "echo '<html>Sign in</html>'", "nothing": ":",
		"truncated":  `printf -- '-----BEGIN CERTIFICATE-----\nMIIB'`,
		"the CA's":   `cat "$DIR/ca.pem"`,
		"somebody's": `cat "$DIR/somebody.pem"`, "leaves a child": "sleep 1000 & cat \"$DIR/somebody.pem\"",
	}
	scripts := map[string]json.RawMessage{}
	for name, body := range hostile {
		path := filepath.Join(t.TempDir(), "sign")
		write(t, path, "#!/bin/sh\n"+body+"\n", 0o700)
		scripts[name] = c.config(t, map[string]any{"sign_script": []string{path}, "timeout_seconds": 2})
	}
	somebody := request(t, "somebody.example.com")
	got, err := open(t, c.config(t, nil)).Issue(t.Context(), somebody)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.path("somebody.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: got.Leaf.Raw})), 0o600)
	alone := filepath.Join(t.TempDir(), "sign") // its certificate without its chain
	write(t, alone, "#!/bin/sh\n"+foreign.path("sign")+" | openssl x509\n", 0o700)
	scripts["another CA's"] = foreign.config(t, map[string]any{"ca_cert_path": c.path("ca.pem"), "sign_script": []string{alone}})
	issuertest.Run(t, issuertest.Subject{
		Kind: script.Kind(), Config: c.config(t, nil), Env: connector.Env{Now: time.Now}, Secrets: []string{password},
		BadConfigs: map[string][]string{
			`{"sign_script":["sign"],"ca_cert_path":"ca.pem","timeout_seconds":0,"environment":[{"name":"a","value":""},{"name":"LD_PRELOAD","value":"x"}]}`: {
				"sign_script", "ca_cert_path", "timeout_seconds", "environment[0].name", "environment[1].name"},
		},
		Down: map[string]json.RawMessage{
			"no such script": c.config(t, map[string]any{"sign_script": []string{"/no/such"}}),
			"no such file":   c.config(t, map[string]any{"ca_cert_path": "/no/such"}),
			"no program":     c.config(t, map[string]any{"crl_script": []string{c.path("ca.cnf")}}),
		},
		Hostile: scripts,
		Revoked: issuertest.ListedBy(lists(t, c).CRL),
		Issued: func(context.Context) (out []*big.Int, err error) {
			text, err := os.ReadFile(c.path("index.txt"))
			for line := range strings.Lines(string(text)) {
				if f := strings.Split(line, "\t"); len(f) > 3 {
					n, _ := new(big.Int).SetString(f[3], 16)
					out = append(out, n)
				}
			}
			return out, err
		},
	})
}

func lists(t testing.TB, c *opensslCA) lister {
	t.Helper()
	l, ok := issuer.As[lister](open(t, c.config(t, nil)))
	if !ok {
		t.Fatal("no CRL")
	}
	return l
}

func request(t testing.TB, name string) *issuer.Request {
	t.Helper()
	key, err := keys.Generate(keys.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer.Request{CSR: csr, CommonName: name, DNSNames: []string{name}, Key: "order-" + rand.Text()}
}

// TestEnds: how a script ends says what happened; what it says is told, without
// secrets.
func TestEnds(t *testing.T) {
	t.Setenv("CERTCTL_OF_THE_SERVER", "leaked")
	c := newCA(t)
	for name, e := range map[string]struct {
		body string
		mode os.FileMode
		kind error
		says string
	}{
		"refused":         {"echo not this name >&2; exit 65", 0o700, issuer.ErrRefused, "not this name"},
		"later":           {"echo closed on Sundays >&2; exit 75", 0o700, issuer.ErrNotDone, "closed on Sundays"},
		"no permission":   {"exit 77", 0o700, issuer.ErrConfig, "sign_script"},
		"misconfigured":   {"exit 78", 0o700, issuer.ErrConfig, "sign_script"},
		"broken":          {"exit 1", 0o700, issuer.ErrUnknown, "exit status 1"},
		"slow":            {"sleep 100", 0o700, issuer.ErrUnknown, "time limit"},
		"endless":         {"yes", 0o700, issuer.ErrUnknown, "printed too much"},
		"tells a secret":  {`echo "the password is $CA_PASSWORD" >&2; exit 65`, 0o700, issuer.ErrRefused, "the password is ********"},
		"environment":     {`echo "[$CERTCTL_OF_THE_SERVER]" >&2; exit 65`, 0o700, issuer.ErrRefused, ": []"},
		"anybody's":       {"exit 0", 0o722, issuer.ErrConfig, "chmod go-w"},
		"not executable":  {"exit 0", 0o600, issuer.ErrConfig, "not an executable"},
		"another's":       {`cat "$DIR/ca.pem"`, 0o700, issuer.ErrRefused, "not what was asked for"},
		"not a signature": {"echo '<html>'", 0o700, issuer.ErrUnknown, "is no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sign")
			write(t, path, "#!/bin/sh\n"+e.body+"\n", 0o700)
			if err := os.Chmod(path, e.mode); err != nil {
				t.Fatal(err)
			}
			i := open(t, c.config(t, map[string]any{"sign_script": []string{path}, "timeout_seconds": 1}))
			_, err := i.Issue(t.Context(), request(t, "a.example.com"))
			if !errors.Is(err, e.kind) || !strings.Contains(err.Error(), e.says) || strings.Contains(err.Error(), password) {
				t.Errorf("%v, want %v with %q", err, e.kind, e.says)
			}
		})
	}
}

// TestCapabilities: an issuer can what its configuration has a script for.
func TestCapabilities(t *testing.T) {
	c := newCA(t)
	for _, without := range []string{"revoke_script", "find_script", "ca_cert_path"} {
		i := open(t, c.config(t, map[string]any{without: map[bool]any{true: "", false: []string{}}[without == "ca_cert_path"]}))
		_, revokes := issuer.As[issuer.Revoker](i)
		_, finds := issuer.As[issuer.Finder](i)
		_, knows := issuer.As[issuer.Authority](i)
		if revokes == (without == "revoke_script") || finds == (without == "find_script") || knows == (without == "ca_cert_path") {
			t.Errorf("without %s: revokes %v, finds %v, knows its certificates %v", without, revokes, finds, knows)
		}
	}
}

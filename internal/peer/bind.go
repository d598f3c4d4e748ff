package peer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// BindServer is a running name server for one zone, which a TSIG key may change.
type BindServer struct {
	Address          string
	Zone             string
	KeyName, KeyText string // hmac-sha256, base64
}

// Bind starts BIND 9 for a test, with an address 127.0.0.1 for every name of
// zone.
func Bind(t testing.TB, zone string) *BindServer {
	t.Helper()
	program, dir := Need(t, "named"), t.TempDir()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	b := &BindServer{Address: fmt.Sprintf("127.0.0.1:%d", port), Zone: zone, KeyName: "certctl", KeyText: "c2VjcmV0IG9mIGEgdGVzdCB0aGF0IGlzIGxvbmcgZW4="}
	conf := fmt.Appendf(nil, `options { directory %[1]q; pid-file none; session-keyfile none; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; notify no; allow-transfer { none; }; dnssec-validation no; };
controls {};
key %[3]q { algorithm hmac-sha256; secret %[4]q; };
zone %[5]q { type primary; file "zone"; update-policy { grant %[3]s zonesub TXT; }; };
`, dir, port, b.KeyName, b.KeyText, zone)
	text := fmt.Appendf(nil, "$TTL 60\n@ SOA ns.%[1]s. root.%[1]s. 1 60 60 600 60\n@ NS ns.%[1]s.\nns A 127.0.0.1\n* A 127.0.0.1\n", zone)
	for name, content := range map[string][]byte{"named.conf": conf, "zone": text} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, syscall.SIGKILL, func() error {
		conn, err := net.DialTimeout("tcp", b.Address, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}, exec.Command(program, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf")))
	return b
}

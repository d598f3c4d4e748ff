package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/certctl/certctl/certctl/secret"
)

func TestStringNeverPrints(t *testing.T) {
	const canary = "canary-5f1c"
	type hidden struct{ password secret.String }
	type config struct {
		Password secret.String  `json:"password"`
		Pointer  *secret.String `json:"pointer"`
		List     []secret.String
		inner    hidden
	}
	s := secret.New(canary)
	c := config{s, &s, []secret.String{s}, hidden{s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s", "%T"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", s, c, &c)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "c", c)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "c", c)
	if err := json.NewEncoder(&out).Encode(c); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&out, fmt.Errorf("failed with %v", s))
	for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary))} {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(form)) {
			t.Errorf("the secret shows as %s in:\n%s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), `"password":"********"`) {
		t.Errorf("no mask in JSON:\n%s", out.String())
	}
	if s.Reveal() != canary || s.IsZero() || !(secret.String{}).IsZero() {
		t.Error("Reveal or IsZero is wrong")
	}
}

func TestStringDecodes(t *testing.T) {
	var c struct{ A, B, C secret.String }
	if err := json.Unmarshal([]byte(`{"A":"x","B":null,"C":""}`), &c); err != nil {
		t.Fatal(err)
	}
	if c.A.Reveal() != "x" || !c.B.IsZero() || !c.C.IsZero() || !c.A.Equal(secret.New("x")) || c.A.Equal(c.B) {
		t.Errorf("decoded %q %q %q", c.A.Reveal(), c.B.Reveal(), c.C.Reveal())
	}
	err := json.Unmarshal([]byte(`{"A":12345678}`), &c)
	if err == nil || strings.Contains(err.Error(), "12345678") {
		t.Errorf("a number: %v", err)
	}
}

func TestSealer(t *testing.T) {
	old, now := secret.NewKey(), secret.NewKey()
	before, err := secret.NewSealer(old)
	if err != nil {
		t.Fatal(err)
	}
	after, err := secret.NewSealer(now, old)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range [][]byte{nil, {}, []byte("x"), bytes.Repeat([]byte("long"), 10000)} {
		sealed, err := before.Seal("row/1", plain)
		if err != nil {
			t.Fatal(err)
		}
		if len(plain) > 3 && bytes.Contains(sealed, plain) {
			t.Fatal("not encrypted")
		}
		got, err := after.Open("row/1", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("open: %q, %v", got, err)
		}
		if _, err := after.Open("row/2", sealed); !errors.Is(err, secret.ErrSealed) {
			t.Errorf("another row's context: %v", err)
		}
		again, changed, err := after.Reseal("row/1", sealed)
		if err != nil || !changed {
			t.Fatalf("reseal: %v %v", changed, err)
		}
		if _, err := before.Open("row/1", again); !errors.Is(err, secret.ErrSealed) || !strings.Contains(err.Error(), now.ID) {
			t.Errorf("the missing key is not named: %v", err)
		}
		if same, changed, err := after.Reseal("row/1", again); err != nil || changed || !bytes.Equal(same, again) {
			t.Errorf("resealed what the primary key had sealed: %v %v", changed, err)
		}
	}
}

func TestSealerRefusesEveryChange(t *testing.T) {
	s, err := secret.NewSealer(secret.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	sealed, _ := s.Seal("ctx", []byte("value"))
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			if _, err := s.Open("ctx", bad); !errors.Is(err, secret.ErrSealed) {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
		}
	}
	for n := range sealed {
		if _, err := s.Open("ctx", sealed[:n]); !errors.Is(err, secret.ErrSealed) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	again, _ := s.Seal("ctx", []byte("value"))
	if bytes.Equal(sealed, again) {
		t.Error("two seals are the same: the nonce is not random")
	}
}

func TestNewSealerRefuses(t *testing.T) {
	k := secret.NewKey()
	for name, keys := range map[string][]secret.Key{
		"no ID": {{Bytes: k.Bytes}}, "zeros": {{ID: "x"}}, "twice": {k, k},
	} {
		if _, err := secret.NewSealer(keys[0], keys[1:]...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseKey(t *testing.T) {
	k := secret.NewKey()
	for _, text := range []string{
		hex.EncodeToString(k.Bytes[:]), strings.ToUpper(hex.EncodeToString(k.Bytes[:])),
		base64.StdEncoding.EncodeToString(k.Bytes[:]) + "\n", base64.RawURLEncoding.EncodeToString(k.Bytes[:]),
	} {
		got, err := secret.ParseKey(text)
		if err != nil || got != k {
			t.Errorf("%s is another key: %v", text, err)
		}
	}
	one, err := secret.ParseKey("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	two, _ := secret.ParseKey("correct horse battery staple")
	same, _ := secret.ParseKey(" correct horse battery\n")
	if one != same || one == two || one.ID == two.ID {
		t.Error("passphrases do not make keys of their own")
	}
	for _, text := range []string{"", "short", "fifteen letters"} {
		if _, err := secret.ParseKey(text); err == nil || (text != "" && strings.Contains(err.Error(), text)) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if out := fmt.Sprintf("%v %+v %#v", k, k, k); strings.Contains(out, fmt.Sprint(k.Bytes[0], " ", k.Bytes[1])) {
		t.Errorf("a key prints itself: %s", out)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var wg sync.WaitGroup
	made := make([]secret.Key, 8)
	for i := range made {
		wg.Go(func() {
			var err error
			if made[i], err = secret.LoadOrCreateKeyFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range made {
		if k != made[0] {
			t.Fatal("two makers have two keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.LoadOrCreateKeyFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by the group: %v", err)
	}
	_ = os.Chmod(path, 0o600)
	whole, _ := os.ReadFile(path)
	for _, bad := range [][]byte{nil, whole[:40], bytes.Repeat([]byte("a"), 5000)} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.LoadOrCreateKeyFile(path); err == nil {
			t.Errorf("a damaged file of %d bytes is taken for a key", len(bad))
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, bad) {
			t.Error("a damaged file was replaced")
		}
	}
	if err := secret.CreateFile(path, []byte("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over another: %v", err)
	}
}

func TestToken(t *testing.T) {
	token, hash := secret.NewToken("ccj")
	other, _ := secret.NewToken("ccj")
	if token == other || !strings.HasPrefix(token, "ccj_") || len(token) != 4+43 {
		t.Errorf("token %q, %q", token, other)
	}
	if hash != secret.HashToken(token) || len(hash) != 64 || hash != strings.ToLower(hash) {
		t.Errorf("hash %q", hash)
	}
}

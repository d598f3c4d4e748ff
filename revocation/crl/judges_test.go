package crl_test

import (
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/lint"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/crl"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// everyReason is one entry for each reason of RFC 5280.
func everyReason() *listed {
	l := &listed{}
	for i, reason := range append(revocation.Reasons, revocation.AACompromise) {
		s := revocation.Status{State: revocation.Revoked, Reason: reason, At: now.AddDate(0, 0, -i-1)}
		if i%2 == 1 {
			s.Invalid = now.AddDate(0, 0, -i-2)
		}
		l.add(big.NewInt(int64(0xabc000+i)), s)
	}
	return l
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), peer.Need(t, program), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestOpenSSLReadsEveryEntryAndVerifies(t *testing.T) {
	for _, kind := range revocationtest.KeyKinds {
		t.Run(kind, func(t *testing.T) {
			ca := revocationtest.NewCA(t, kind, "CRL CA", now)
			o := options(t, ca)
			file := revocationtest.File(t, "list.crl", build(t, everyReason(), o).DER)
			out := run(t, "openssl", "crl", "-inform", "DER", "-in", file, "-CAfile", revocationtest.PEM(t, ca.Cert), "-noout", "-text")
			for _, want := range []string{
				"verify OK", "Version 2", "Serial Number: ABC000", "Serial Number: ABC008", "Key Compromise", "CA Compromise", "Affiliation Changed",
				"Superseded", "Cessation Of Operation", "Certificate Hold", "Privilege Withdrawn", "AA Compromise", "Invalidity Date",
				"Revocation Date: Mar  3 05:06:07 2026 GMT", "Last Update: Mar  4 05:06:07 2026 GMT", "Next Update: Mar  5 05:06:07 2026 GMT",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("openssl does not see %q:\n%s", want, out)
				}
			}
			number := strings.TrimSpace(run(t, "openssl", "crl", "-inform", "DER", "-in", file, "-noout", "-crlnumber"))
			if want := fmt.Sprintf("crlNumber=0x%X", o.Number.Int().Bytes()); number != want {
				t.Errorf("openssl reads %s, want %s", number, want)
			}
			broken := build(t, everyReason(), o).DER
			broken[len(broken)/2] ^= 1
			bad := revocationtest.File(t, "bad.crl", broken)
			verdict, _ := exec.CommandContext(t.Context(), peer.Need(t, "openssl"), "crl", "-inform", "DER", "-in", bad, "-CAfile", revocationtest.PEM(t, ca.Cert), "-noout").CombinedOutput()
			if strings.Contains(string(verdict), "verify OK") {
				t.Error("openssl verifies a changed list: this test proves nothing")
			}
		})
	}
}

func TestGnuTLSReadsAndVerifies(t *testing.T) {
	for _, kind := range revocationtest.KeyKinds {
		t.Run(kind, func(t *testing.T) {
			ca := revocationtest.NewCA(t, kind, "CRL CA", now)
			o := options(t, ca)
			list := build(t, everyReason(), o)
			der := revocationtest.File(t, "list.crl", list.DER)
			out := run(t, "certtool", "--crl-info", "--inder", "--infile", der)
			for _, want := range []string{"Revoked certificates (9)", "Serial Number (hex): 00abc001", "Authority Key Identifier", "CRL Number"} {
				if !strings.Contains(out, want) {
					t.Errorf("certtool does not see %q:\n%s", want, out)
				}
			}
			// --verify-crl judges by the clock of the machine.
			today := time.Now()
			ca = revocationtest.NewCA(t, kind, "CRL CA", today)
			o = options(t, ca)
			o.ThisUpdate, o.NextUpdate = today.Add(-time.Minute), today.Add(time.Hour)
			list = build(t, everyReason(), o)
			text := revocationtest.File(t, "list.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list.DER}))
			out = run(t, "certtool", "--verify-crl", "--load-ca-certificate", revocationtest.PEM(t, ca.Cert), "--infile", text)
			if strings.Contains(out, "Not verified") || !strings.Contains(out, "Verified") {
				t.Errorf("certtool --verify-crl: %s", out)
			}
		})
	}
}

func TestZlintFindsNothing(t *testing.T) {
	for _, kind := range revocationtest.KeyKinds {
		o := options(t, revocationtest.NewCA(t, kind, "CRL CA", now))
		for seed, n := range []int{0, 1, 3, 50} {
			lintCRL(t, build(t, conforming(random(uint64(seed), n)), o).DER)
		}
	}
	if testing.Short() {
		return
	}
	o := options(t, revocationtest.NewCA(t, "p256", "CRL CA", now))
	for seed := range 100 {
		lintCRL(t, build(t, conforming(random(uint64(seed), seed%20)), o).DER)
	}
}

// TestThousandCRLs: of random content and scope, with every reason, holds too.
func TestThousandCRLs(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "CRL CA", now)
	for seed := range 1000 {
		o := options(t, ca)
		switch seed % 4 {
		case 1:
			o.Shard, o.Points = seed%7+1, []string{fmt.Sprintf("http://pki.example.com/crl/%d", seed%7+1)}
		case 2:
			o.Freshest = []string{"http://pki.example.com/crl/delta"}
		case 3:
			o.Base, o.Number = o.Number, next(t, o.Number)
		}
		list := build(t, random(uint64(seed), seed%60), o)
		if err := lint.CRL(list.DER); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		parse(t, list)
	}
}

// conforming leaves out what the CA/Browser Forum forbids.
func conforming(l *listed) *listed {
	out := &listed{}
	for i, s := range l.statuses {
		switch s.Reason {
		case revocation.CertificateHold, revocation.CACompromise, revocation.AACompromise:
			s.Reason = revocation.KeyCompromise
		}
		out.add(l.serials[i], s)
	}
	return out
}

func BenchmarkBuild10k(b *testing.B) {
	o := options(b, revocationtest.NewCA(b, "p256", "CRL CA", now))
	l := unique(random(1, 10_000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := crl.Build(b.Context(), l, o); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNSSTakesTheList: NSS checks the signature as it imports a CRL, lists its
// entries, and refuses a broken one.
func TestNSSTakesTheList(t *testing.T) {
	for _, program := range []string{"certutil", "crlutil"} {
		peer.Need(t, program)
	}
	for _, kind := range []string{"rsa2048", "p256", "p384"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			at := time.Now() // NSS goes by the machine's clock
			ca := revocationtest.NewCA(t, kind, "CRL CA", at)
			db := "sql:" + dir
			run(t, "certutil", "-N", "-d", db, "--empty-password")
			run(t, "certutil", "-A", "-d", db, "-n", "ca", "-t", "CT,C,C", "-i", revocationtest.PEM(t, ca.Cert), "-a")
			o := options(t, ca)
			o.ThisUpdate, o.NextUpdate = at.Add(-time.Minute), at.Add(time.Hour)
			list := build(t, everyReason(), o)
			file := filepath.Join(dir, "crl.der")
			if err := os.WriteFile(file, list.DER, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "crlutil", "-I", "-d", db, "-i", file)
			out := run(t, "crlutil", "-L", "-d", db, "-n", "ca")
			if got := strings.Count(out, "Serial Number:"); got != list.Count {
				t.Errorf("NSS lists %d entries, want %d:\n%s", got, list.Count, out)
			}
			broken := append([]byte(nil), list.DER...)
			broken[len(broken)-12] ^= 1
			if err := os.WriteFile(file, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "crlutil", "-I", "-d", db, "-i", file).CombinedOutput(); err == nil {
				t.Errorf("a list with a broken signature was taken: %s", out)
			}
		})
	}
}

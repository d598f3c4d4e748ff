package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/store"
)

func newCSR(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// TestKilledInTheMiddle kills the server while it issues, again and again. What
// was accepted is finished by the next start, once.
func TestKilledInTheMiddle(t *testing.T) {
	d := newDev(t)
	const rounds, burst = 6, 6
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := mrand.New(mrand.NewPCG(seed, 1))
	for round := range rounds {
		var group sync.WaitGroup
		for i := range burst {
			name := fmt.Sprintf("r%d-%d.example.com", round, i)
			path := file(t, "csr.pem", newCSR(t, name))
			group.Go(func() { _, _ = d.cli("certs", "create", "--san", name, "--csr", path, "--timeout", "3s") }) // may not be heard
		}
		group.Go(func() { _, _ = d.cli("certs", "renew", "mc-demo", "--timeout", "3s") })
		pause := time.NewTimer(time.Duration(20+r.IntN(150)) * time.Millisecond)
		<-pause.C
		d.kill()
		group.Wait()
		d.start()
	}
	until(t, "nothing is live any more", 3*time.Minute, func() bool {
		return d.mustCLI("jobs", "list", "-o", "name", "--status", "Pending,Running,AwaitingCSR") == ""
	})
	d.mustCLI("certs", "renew", "mc-demo", "--wait")
	if d.served() != d.demo().Serial {
		t.Error("the site does not serve the newest version")
	}
	if code := d.interrupt(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d.audit(rounds)
	d.start()
	d.everySerial("good")
	for _, c := range d.certificates() {
		if strings.HasPrefix(c.Name, "r") {
			d.mustCLI("certs", "revoke", c.ID, "--reason", "superseded")
		}
	}
	d.everySerial("revoked")
}

func (d *dev) certificates() (all []certificate) {
	d.t.Helper()
	d.object(&all, "certs", "list", "--limit", "0")
	return all
}

// everySerial asks the responder for the serials of all versions that were
// requested while the server was killed.
func (d *dev) everySerial(want string) {
	t := d.t
	t.Helper()
	ca := d.path("ca.pem")
	asked := 0
	for _, c := range d.certificates() {
		if !strings.HasPrefix(c.Name, "r") {
			continue
		}
		var versions []certificate
		d.object(&versions, "certs", "versions", c.ID, "--limit", "0")
		args := []string{"ocsp", "-issuer", ca, "-CAfile", ca, "-url", d.ready["pki_url"] + "/.well-known/pki/ocsp/iss-local"}
		for _, v := range versions {
			args = append(args, "-serial", "0x"+v.Serial)
		}
		out := must(t, "openssl", args...)
		for _, v := range versions {
			asked++
			if !strings.Contains(out, "0x"+v.Serial+": "+want) {
				t.Errorf("%s, serial %s, should be %s: %s", c.ID, v.Serial, want, out)
			}
		}
	}
	if asked == 0 {
		t.Error("no certificate was issued between the kills")
	}
}

// audit compares the orders, which were written before the CA signed, with what
// is there.
func (d *dev) audit(least int) {
	t := d.t
	st, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(d.dir, "certctl.db"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var orders []*certctl.Order
	versions := map[string][]*certctl.CertificateVersion{}
	certificates := map[string]*certctl.Certificate{}
	err = st.View(t.Context(), func(ctx context.Context, r certctl.Reader) error {
		page, err := r.Orders().List(ctx, certctl.OrderFilter{}, certctl.Page{Limit: 500})
		if err != nil {
			return err
		}
		orders = page.Items
		vs, err := r.Versions().List(ctx, certctl.VersionFilter{}, certctl.Page{Limit: 500})
		if err != nil {
			return err
		}
		for _, v := range vs.Items {
			versions[v.CertificateID] = append(versions[v.CertificateID], v)
		}
		cs, err := r.Certificates().List(ctx, certctl.CertificateFilter{}, certctl.Page{Limit: 500})
		for _, c := range cs.Items {
			certificates[c.ID] = c
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(orders) < least {
		t.Errorf("only %d orders were placed: the kills came too early to prove anything", len(orders))
	}
	t.Logf("%d certificates, %d orders", len(certificates), len(orders))
	for id, c := range certificates {
		if c.Status != certctl.CertificateActive || int(c.Generation) != len(versions[id]) {
			t.Errorf("%s is %s in generation %d with %d versions: %s", id, c.Status, c.Generation, len(versions[id]), c.StatusReason)
		}
	}
	for _, o := range orders {
		if o.State != certctl.OrderIssued {
			t.Errorf("order %s is %s: %s", o.ID, o.State, o.LastError)
			continue
		}
		found := 0
		for _, v := range versions[o.CertificateID] {
			if v.OrderID == o.ID && v.Serial == o.Serial {
				found++
				n, _ := new(big.Int).SetString(v.Serial, 16)
				if s, err := st.Status(t.Context(), v.IssuerKeyID, n); err != nil || s.State != revocation.Good {
					t.Errorf("serial %s: %+v, %v", v.Serial, s, err)
				}
			}
		}
		if found != 1 {
			t.Errorf("order %s has %d versions", o.ID, found)
		}
	}
}

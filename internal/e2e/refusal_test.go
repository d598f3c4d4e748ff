package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
)

// TestOldAnswersAreRefused: openssl takes neither an answer to another's nonce,
// nor one after its nextUpdate.
func TestOldAnswersAreRefused(t *testing.T) {
	o := newOpensslCA(t)
	opensslWithout(t, o.path("openssl.cnf"))
	addrs := addresses(t, 2)
	url := "http://" + addrs[0] + "/.well-known/pki/ocsp/own"
	o.issue("good", "leaf", "URI:"+url)
	o.issue("delegate", "delegate", "URI:"+url)
	o.crl()
	launch(t, nil, "certctl-responder", "crl", "--listen", addrs[0], "--admin-listen", addrs[1], "--name", "own", "--ca", o.path("ca.pem"), "--crl", o.path("crl.pem"),
		"--index", o.path("index.txt"), "--cert", o.path("delegate.pem"), "--key", o.path("delegate.key"), "--validity", "3s")
	until(t, "the responder is ready", 20*time.Second, func() bool { code, _ := get(t, "http://"+addrs[1]+"/ready"); return code == 200 })

	out := o.says(url, "good", "-nonce", "-reqout", o.path("first.req"), "-respout", o.path("first.resp"), "-validity_period", "0")
	if !strings.Contains(out, "good.pem: good") || strings.Contains(out, "WARNING") {
		t.Fatal(out)
	}
	o.says(url, "good", "-nonce", "-reqout", o.path("second.req"), "-respout", o.path("second.resp"))
	openssl := peer.Need(t, "openssl")
	judge := func(more ...string) (string, error) {
		return run(t, openssl, append([]string{"ocsp", "-issuer", o.path("ca.pem"), "-CAfile", o.path("ca.pem"), "-respin", o.path("first.resp"), "-validity_period", "0"}, more...)...)
	}
	if out, err := judge("-reqin", o.path("first.req")); err != nil || !strings.Contains(out, "Response verify OK") {
		t.Errorf("the answer to its own request: %v, %s", err, out)
	}
	if out, err := judge("-reqin", o.path("second.req")); err == nil || !strings.Contains(out, "Nonce Verify error") {
		t.Errorf("an answer to another's nonce: %v, %s", err, out)
	}
	until(t, "the answer has ended", 20*time.Second, func() bool {
		out, _ := judge("-cert", o.path("good.pem"), "-no_nonce")
		return strings.Contains(out, "Status times invalid") && strings.Contains(out, "status expired")
	})
	if out := o.says(url, "good", "-validity_period", "0"); strings.Contains(out, "WARNING") {
		t.Errorf("a new one: %s", out)
	}
}

package rest_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
)

func TestIdempotencyKeyMakesARequestCountOnce(t *testing.T) {
	s := newSetup(t)
	key := s.keys[certctl.RoleOperator]
	const path, body = "/api/v1/certificates", `{"id":"mc-a","sans":["a.example.com"]}`
	first := s.send(key, http.MethodPost, path, body, "Idempotency-Key: k1")
	if first.StatusCode != http.StatusCreated || first.Header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("first: %d %s", first.StatusCode, first.body)
	}
	again := s.send(key, http.MethodPost, path, body, "Idempotency-Key: k1")
	if again.StatusCode != http.StatusCreated || again.body != first.body || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d %s", again.StatusCode, again.body)
	}
	for _, name := range []string{"Location", "ETag", "Content-Type"} {
		if v := first.Header.Get(name); v == "" || v != again.Header.Get(name) {
			t.Errorf("%s is %q, was %q", name, again.Header.Get(name), v)
		}
	}
	s.wants(s.send(key, http.MethodPost, path, `{"id":"mc-b","sans":["b.example.com"]}`, "Idempotency-Key: k1"), 422, api.CodeKeyReused)
	if a := s.send(s.keys[certctl.RoleAdmin], http.MethodPost, path, `{"id":"mc-b","sans":["b.example.com"]}`, "Idempotency-Key: k1"); a.StatusCode != http.StatusCreated {
		t.Errorf("somebody else's key of the same name: %d %s", a.StatusCode, a.body)
	}
	s.wants(s.send(key, http.MethodPost, path, body, "Idempotency-Key: k2"), http.StatusConflict, api.CodeConflict)
	for _, bad := range []string{"a b", strings.Repeat("k", 256), "ä"} {
		s.wants(s.send(key, http.MethodPost, path, body, "Idempotency-Key: "+bad), 422, api.CodeInvalid)
	}
}

func TestFailuresAreNotKept(t *testing.T) {
	s := newSetup(t)
	key := s.keys[certctl.RoleOperator]
	const body = `{"name":"ann","team_id":"t-1"}`
	s.wants(s.send(key, http.MethodPost, "/api/v1/owners", body, "Idempotency-Key: k"), 422, api.CodeInvalid)
	if a := s.send(key, http.MethodPost, "/api/v1/teams", `{"id":"t-1","name":"one"}`); a.StatusCode != http.StatusCreated {
		t.Fatal(a.body)
	}
	if a := s.send(key, http.MethodPost, "/api/v1/owners", body, "Idempotency-Key: k"); a.StatusCode != http.StatusCreated {
		t.Errorf("once the cause is gone: %d %s", a.StatusCode, a.body)
	}
}

func TestSecretsAreNotReplayed(t *testing.T) {
	s := newSetup(t)
	key := s.keys[certctl.RoleAdmin]
	for path, body := range map[string]string{"/api/v1/api-keys": `{"name":"ci","role":"viewer"}`, "/api/v1/agents/join-tokens": `{}`} {
		first := s.send(key, http.MethodPost, path, body, "Idempotency-Key: k")
		if first.StatusCode != http.StatusCreated {
			t.Fatal(first.body)
		}
		again := s.send(key, http.MethodPost, path, body, "Idempotency-Key: k")
		if again.StatusCode != http.StatusConflict || again.Header.Get("Content-Type") != "application/problem+json" ||
			!strings.Contains(again.body, first.Header.Get("Location")) || strings.Contains(again.body, "cck_") || strings.Contains(again.body, "ccj_") {
			t.Errorf("%s again: %d %s", path, again.StatusCode, again.body)
		}
	}
	keys, err := s.admin().ListAPIKeys(t.Context(), api.APIKeyQuery{Name: []string{"ci"}})
	if err != nil || len(keys.Data) != 1 {
		t.Errorf("%d keys were made, want 1 (%v)", len(keys.Data), err)
	}
}

func TestConcurrentRequestsWithOneKey(t *testing.T) {
	s := newSetup(t)
	var group sync.WaitGroup
	answers := make(chan answer, 8)
	for range cap(answers) {
		group.Go(func() {
			answers <- s.send(s.keys[certctl.RoleOperator], http.MethodPost, "/api/v1/certificates", `{"sans":["a.example.com"]}`, "Idempotency-Key: same")
		})
	}
	group.Wait()
	close(answers)
	made := map[string]int{}
	for a := range answers {
		switch a.StatusCode {
		case http.StatusCreated:
			made[a.Header.Get("Location")]++
		case http.StatusConflict:
			s.wants(a, http.StatusConflict, api.CodeInFlight)
		default:
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	all, err := s.admin().ListCertificates(t.Context(), api.CertificateQuery{})
	if err != nil || len(all.Data) != 1 || len(made) != 1 {
		t.Errorf("%d certificates and the answers %v, want one (%v)", len(all.Data), made, err)
	}
}

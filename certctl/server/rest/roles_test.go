package rest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/server/rest"
	"gopkg.in/yaml.v3"
)

type described struct {
	method, path, id, role string
	security               any
}

// operations reads the document, in which every registered operation is.
func operations(t testing.TB) []described {
	t.Helper()
	documents, err := rest.Documents()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string                 `yaml:"operationId"`
			Role        string                 `yaml:"x-certctl-role"`
			Security    *[]map[string][]string `yaml:"security"`
		}
	}
	if err := yaml.Unmarshal(documents["/openapi.yaml"], &doc); err != nil {
		t.Fatal(err)
	}
	var all []described
	for path, methods := range doc.Paths {
		for method, o := range methods {
			d := described{method: strings.ToUpper(method), path: path, id: o.OperationID, role: o.Role, security: o.Security}
			if o.Role == "public" && (o.Security == nil || len(*o.Security) != 0) {
				t.Errorf("%s is public, but the document asks for a key", d.id)
			}
			if o.Role != "public" && o.Security != nil && len(*o.Security) == 0 {
				t.Errorf("%s is not public, but the document asks for no key", d.id)
			}
			all = append(all, d)
		}
	}
	if len(all) < 70 {
		t.Fatalf("the document has %d operations; the test sees too little", len(all))
	}
	return all
}

// mayCall is the table of roles, written down again: what the code declares is
// compared with it.
func mayCall(role, id string) bool {
	reads := strings.HasPrefix(id, "list") || strings.HasPrefix(id, "get") || id == "exportCertificatePEM"
	secrets := strings.Contains(id, "APIKey") || strings.Contains(id, "JoinToken") || id == "getCRLCache"
	agents := []string{"heartbeat", "claimWork", "submitCSR", "report", "extendLease", "rotateCredential"}
	operators := []string{
		"createCertificate", "updateCertificate", "patchCertificate", "archiveCertificate", "renewCertificate", "deployCertificate",
		"revokeCertificate", "holdCertificate", "releaseCertificate", "bindCertificate", "unbindCertificate", "cancelJob", "listJoinTokens", "createJoinToken", "revokeJoinToken",
		"createTarget", "updateTarget", "deleteTarget", "testTarget", "createOwner", "updateOwner", "deleteOwner", "createTeam", "updateTeam", "deleteTeam",
	}
	switch {
	case id == "checkAuth":
		return true
	case slices.Contains(agents, id):
		return false // but for the agent itself
	case role == "admin":
		return true
	case role == "operator":
		return slices.Contains(operators, id) || (reads && !secrets)
	case role == "viewer":
		return reads && !secrets
	}
	return false
}

// TestEveryOperationChecksWhoAsks walks everything that is registered.
func TestEveryOperationChecksWhoAsks(t *testing.T) {
	s := newSetup(t)
	mine, credential := s.agent("alpha")
	_, other := s.agent("beta")
	garbage := "cck_" + strings.Repeat("A", 43)
	public := []string{"getHealth", "getReady", "getVersion", "getAuthInfo"}
	for _, o := range operations(t) {
		path := strings.NewReplacer("{id}", mine, "{job_id}", "job-x", "{target_id}", "tgt-x").Replace(o.path)
		if slices.Contains(public, o.id) {
			if o.role != "public" {
				t.Errorf("%s: the role is %s, want public", o.id, o.role)
			}
			if a := s.send("", o.method, path, ""); a.StatusCode != http.StatusOK {
				t.Errorf("%s without a key: %d, want 200", o.id, a.StatusCode)
			}
			continue
		}
		body := ""
		if o.id == "join" {
			body = `{"hostname":"x"}`
		}
		for name, key := range map[string]string{"no": "", "an unknown": garbage} {
			a := s.send(key, o.method, path, body)
			s.wants(a, http.StatusUnauthorized, api.CodeUnauthenticated)
			if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s with %s key: WWW-Authenticate is %q", o.id, name, a.Header.Get("WWW-Authenticate"))
			}
		}
		if o.id == "join" {
			continue
		}
		for _, role := range []certctl.Role{certctl.RoleViewer, certctl.RoleOperator, certctl.RoleAdmin} {
			if o.method == http.MethodDelete && mayCall(string(role), o.id) {
				path := strings.ReplaceAll(path, mine, "nobody") // spare the agent
				if a := s.send(s.keys[role], o.method, path, ""); a.StatusCode == http.StatusForbidden || a.StatusCode == http.StatusUnauthorized {
					t.Errorf("%s may call %s, but got %d: %s", role, o.id, a.StatusCode, a.body)
				}
				continue
			}
			a := s.send(s.keys[role], o.method, path, "")
			if allowed := a.StatusCode != http.StatusForbidden && a.StatusCode != http.StatusUnauthorized; allowed != mayCall(string(role), o.id) {
				t.Errorf("%s calls %s: %d, allowed should be %v: %s", role, o.id, a.StatusCode, !allowed, a.body)
			}
		}
		if o.id == "checkAuth" {
			continue
		}
		if o.role == "agent" {
			s.wants(s.send(other, o.method, path, ""), http.StatusNotFound, api.CodeNotFound)
			continue
		}
		s.wants(s.send(credential, o.method, path, ""), http.StatusForbidden, api.CodeForbidden)
	}
}

func TestAgentsAreStrangersToEachOther(t *testing.T) {
	s := newSetup(t)
	mine, credential := s.agent("alpha")
	theirs, _ := s.agent("beta")
	a := s.client(credential)
	if _, err := a.Heartbeat(t.Context(), mine, api.Heartbeat{Hostname: "alpha"}); err != nil {
		t.Errorf("its own heartbeat: %v", err)
	}
	known := s.send(credential, http.MethodPost, "/api/v1/agents/"+theirs+"/work", `{}`)
	unknown := s.send(credential, http.MethodPost, "/api/v1/agents/ag-nobody/work", `{}`)
	p, q := s.wants(known, 404, api.CodeNotFound), s.wants(unknown, 404, api.CodeNotFound)
	if p.Detail != q.Detail {
		t.Errorf("the answers differ, so that an agent learns which others exist: %q and %q", p.Detail, q.Detail)
	}
	if err := s.admin().RetireAgent(t.Context(), mine, api.RetireOptions{}); err != nil {
		t.Fatal(err)
	}
	s.wants(s.send(credential, http.MethodPost, "/api/v1/agents/"+mine+"/heartbeat", `{}`), http.StatusGone, api.CodeGone)
}

func TestJoinTokenWorksOnce(t *testing.T) {
	s := newSetup(t)
	token, err := s.admin().CreateJoinToken(t.Context(), api.JoinTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"hostname":"web-1"}`
	if a := s.send(token.Token, http.MethodPost, "/api/v1/agents/join", body); a.StatusCode != http.StatusCreated {
		t.Fatalf("join: %d %s", a.StatusCode, a.body)
	}
	s.wants(s.send(token.Token, http.MethodPost, "/api/v1/agents/join", body), http.StatusUnauthorized, api.CodeUnauthenticated)
	s.wants(s.send(s.keys[certctl.RoleAdmin], http.MethodPost, "/api/v1/agents/join", body), http.StatusUnauthorized, api.CodeUnauthenticated)
}

func TestWithoutAuthentication(t *testing.T) {
	s := newSetup(t, func(o *rest.Options) { o.AuthType = rest.AuthNone })
	check := s.send("", http.MethodGet, "/api/v1/auth/check", "")
	if check.StatusCode != http.StatusOK || !strings.Contains(check.body, `"role":"admin"`) {
		t.Errorf("got %d %s", check.StatusCode, check.body)
	}
	s.wants(s.send("wrong", http.MethodGet, "/api/v1/auth/check", ""), http.StatusUnauthorized, api.CodeUnauthenticated)
	s.wants(s.send("", http.MethodGet, "/api/v1/auth/check", "", "Host: rebound.example"), http.StatusForbidden, api.CodeForbidden)
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"} {
		s.wants(s.send("", http.MethodPost, "/api/v1/teams", `{"name":"x"}`, header), http.StatusForbidden, api.CodeForbidden)
	}
	if id, credential := s.agent("alpha"); s.send(credential, http.MethodPost, fmt.Sprintf("/api/v1/agents/%s/work", id), `{}`).StatusCode != http.StatusOK {
		t.Error("an agent is not itself any more when others need no key")
	}
}

package rest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
)

// canary must be in no answer and no log line.
const canary = "canary-7f3a-private-key"

func TestHostileBodies(t *testing.T) {
	s := newSetup(t)
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("%q", fmt.Sprintf("h%d.example.com", i))
	}
	tests := []struct {
		name, body string
		status     int
		code       string
	}{
		{"2 MB", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, 413, api.CodeTooLarge},
		{"10,000 names", `{"sans":[` + strings.Join(names, ",") + `]}`, 422, api.CodeInvalid},
		{"unknown field", `{"name":"a","colour":"` + canary + `"}`, 422, api.CodeInvalid},
		{"field in another case", `{"Name":"` + canary + `"}`, 422, api.CodeInvalid},
		{"NUL in a value", `{"name":"a\u0000` + canary + `"}`, 422, api.CodeInvalid},
		{"NUL deep inside", `{"name":"a","tags":{"a":"` + canary + `\u0000"}}`, 422, api.CodeInvalid},
		{"NUL in a name", `{"na\u0000me":"` + canary + `"}`, 422, api.CodeInvalid},
		{"broken JSON", `{"csr_pem":"` + canary + `"`, 400, api.CodeMalformed},
		{"no JSON", `-----BEGIN PRIVATE KEY----- ` + canary, 400, api.CodeMalformed},
		{"text after the end", `{"name":"a"} {"name":"` + canary + `"}`, 400, api.CodeMalformed},
		{"a name twice", `{"name":"a","name":"` + canary + `"}`, 400, api.CodeMalformed},
		{"wrong type", `{"name":["` + canary + `"]}`, 422, api.CodeInvalid},
		{"an array", `["` + canary + `"]`, 422, api.CodeInvalid},
		{"null", `null`, 422, api.CodeInvalid},
		{"deep nesting", strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), 400, api.CodeMalformed},
		{"not UTF-8", "{\"name\":\"\xff\xfe" + canary + "\"}", 400, api.CodeMalformed},
		{"nothing", "", 400, api.CodeMalformed},
		{"a number too large", `{"name":"a","ttl_seconds":1e400}`, 422, api.CodeInvalid},
		{"a value outside its list", `{"name":"a","key_algorithm":"` + canary + `"}`, 422, api.CodeInvalid},
		{"a private key as a CSR", `{"common_name":"a.example.com","sans":["a.example.com"],"csr_pem":"-----BEGIN PRIVATE KEY-----\n` + canary + `\n-----END PRIVATE KEY-----\n"}`, 422, api.CodeInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := *s
			s.t = t
			a := s.send(s.keys[certctl.RoleAdmin], http.MethodPost, "/api/v1/certificates", tt.body)
			p := s.wants(a, tt.status, tt.code)
			if strings.Contains(a.body, canary) {
				t.Errorf("the answer repeats what was sent: %s", a.body)
			}
			if p.Detail == "" || (tt.status == 422 && len(p.Errors) == 0) {
				t.Errorf("the answer does not say what is wrong: %+v", p)
			}
			if strings.HasPrefix(tt.name, "NUL") && !strings.Contains(p.Detail, "NUL") {
				t.Errorf("refused for something else: %s", p.Detail)
			}
			if len(a.body) > 8000 {
				t.Errorf("the answer has %d bytes", len(a.body))
			}
		})
	}
	if strings.Contains(s.log.String(), canary) {
		t.Error("the log repeats what was sent")
	}
	all, err := s.admin().ListCertificates(t.Context(), api.CertificateQuery{})
	if err != nil || len(all.Data) != 0 {
		t.Errorf("%d certificates were made of hostile requests, want none (%v)", len(all.Data), err)
	}
	a := s.send(s.keys[certctl.RoleAdmin], http.MethodPost, "/api/v1/certificates", `{"name":"x"}`, "Content-Type: text/plain")
	s.wants(a, http.StatusUnsupportedMediaType, api.CodeMediaType)
}

func TestHostileParameters(t *testing.T) {
	s := newSetup(t)
	key := s.keys[certctl.RoleViewer]
	for query, code := range map[string]string{
		"bogus=1":                     api.CodeInvalid,
		"status=Nonsense":             api.CodeInvalid,
		"status=Active&status=Failed": api.CodeInvalid,
		"page_size=501":               api.CodeInvalid,
		"page_size=0":                 api.CodeInvalid,
		"page_size=x":                 api.CodeInvalid,
		"page=1&cursor=abc":           api.CodeInvalid,
		"cursor=abc":                  api.CodeInvalid,
		"sort=password":               api.CodeInvalid,
		"sort=name;drop":              api.CodeMalformed,
		"fields=id,hash":              api.CodeInvalid,
		"expires_before=yesterday":    api.CodeInvalid,
		"serial_number=xyz":           api.CodeInvalid,
		"search=%00":                  api.CodeInvalid,
		"search=%ff":                  api.CodeInvalid,
		"search=%zz":                  api.CodeMalformed,
	} {
		a := s.send(key, http.MethodGet, "/api/v1/certificates?"+query, "")
		if p := a.problem(t); p.Code != code || p.Status >= 500 {
			t.Errorf("?%s: got %d %s (%s), want %s", query, p.Status, p.Code, p.Detail, code)
		}
	}
	for _, id := range []string{"%00", "a%20b", strings.Repeat("x", 129), "..%2f..%2fetc", "%ff"} {
		if a := s.send(key, http.MethodGet, "/api/v1/certificates/"+id, ""); a.StatusCode != 422 && a.StatusCode != 404 {
			t.Errorf("ID %q: %d %s", id, a.StatusCode, a.body)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	s := newSetup(t)
	for _, path := range []string{"/", "/api/v1/nothing", "/api/v2/certificates", "/docs", "/schemas/Certificate"} {
		s.wants(s.send("", http.MethodGet, path, ""), http.StatusNotFound, api.CodeNotFound)
	}
	a := s.send("", http.MethodPut, "/api/v1/certificates", "{}")
	s.wants(a, http.StatusMethodNotAllowed, api.CodeMethodNotAllowed)
	if allow := a.Header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") {
		t.Errorf("Allow is %q", allow)
	}
	for _, path := range []string{"/openapi.yaml", "/openapi-3.0.yaml", "/openapi.json"} {
		if a := s.send("", http.MethodGet, path, ""); a.StatusCode != 200 || !strings.Contains(a.body, "createCertificate") {
			t.Errorf("%s: %d %.100s", path, a.StatusCode, a.body)
		}
	}
}

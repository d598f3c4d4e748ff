package rest_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/certctl/certctl/certctl/keys"
)

// csr makes a key and a CSR as an agent would.
func csr(t testing.TB, names ...string) string {
	t.Helper()
	key, err := keys.Generate(keys.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// finished waits until a job is not live any more.
func finished(t testing.TB, c *client.Client, id string) *api.Job {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		j, err := c.GetJob(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !j.Live() {
			return j
		}
		select {
		case <-deadline:
			t.Fatalf("job %s is still %s: %s %s", id, j.Status, j.Waiting, j.LastError)
		case <-tick.C:
		}
	}
}

// TestLifeOfACertificate walks through issuance, an agent's work, renewal and
// revocation as a client and an agent see them.
func TestLifeOfACertificate(t *testing.T) {
	s := newSetup(t)
	s.run()
	c, ctx := s.client(s.keys[certctl.RoleOperator]), t.Context()
	agentID, credential := s.agent("web-1")
	a := s.client(credential)
	target, err := c.CreateTarget(ctx, api.TargetCreate{Name: "site", Type: "paper", AgentID: agentID, Config: []byte(`{"path":"/srv/cert.pem","token":"` + canary + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(target.Config), canary) {
		t.Errorf("the answer shows a secret: %s", target.Config)
	}
	waiting := make(chan []api.Work, 1)
	go func() {
		w, err := a.ClaimWork(ctx, agentID, api.WorkRequest{WaitSeconds: 20})
		if err != nil {
			t.Error(err)
			waiting <- nil
			return
		}
		waiting <- w.Work
	}()
	created, err := c.CreateCertificate(ctx, api.CertificateRequest{
		ID: "mc-www", CommonName: "www.example.com", SANs: []string{"www.example.com"}, TargetIDs: []string{target.ID}, TTLSeconds: 3600 * 24,
	})
	if err != nil {
		t.Fatal(err)
	}
	if created.Status != "Pending" || created.JobID == "" || created.Revision != 1 {
		t.Errorf("created: %+v", created)
	}
	work := <-waiting
	if len(work) != 1 || work[0].Kind != api.WorkCSR || !slices.Equal(work[0].SANs, []string{"www.example.com"}) {
		t.Fatalf("the agent got %+v", work)
	}
	lease, err := a.ExtendLease(ctx, agentID, work[0].JobID, work[0].Fence)
	if err != nil || lease.LeaseUntil.Before(work[0].LeaseUntil) {
		t.Errorf("lease until %v, was %v: %v", lease, work[0].LeaseUntil, err)
	}
	if err := a.SubmitCSR(ctx, agentID, work[0].JobID, api.CSRSubmission{Fence: work[0].Fence + 1, CSRPEM: csr(t, "www.example.com")}); !errors.Is(err, client.ErrFenced) {
		t.Errorf("a CSR with a wrong fence: %v, want ErrFenced", err)
	}
	err = a.SubmitCSR(ctx, agentID, work[0].JobID, api.CSRSubmission{Fence: work[0].Fence, CSRPEM: csr(t, "www.example.com", "evil.example.com")})
	if p, ok := errors.AsType[*client.Problem](err); !ok || !errors.Is(err, client.ErrInvalid) || len(p.Errors) == 0 {
		t.Errorf("a CSR with another name: %v, want ErrInvalid with fields", err)
	}
	if err := a.SubmitCSR(ctx, agentID, work[0].JobID, api.CSRSubmission{Fence: work[0].Fence, CSRPEM: csr(t, "www.example.com")}); err != nil {
		t.Fatal(err)
	}
	if j := finished(t, c, created.JobID); j.Status != "Completed" {
		t.Fatalf("the issuance is %s: %s", j.Status, j.LastError)
	}
	deploy, err := a.ClaimWork(ctx, agentID, api.WorkRequest{WaitSeconds: 20})
	if err != nil || len(deploy.Work) != 1 || deploy.Work[0].Kind != api.WorkDeploy || !strings.Contains(string(deploy.Work[0].TargetConfig), canary) || deploy.Work[0].RootsPEM == "" {
		t.Fatalf("the agent got %+v, %v", deploy, err)
	}
	w := deploy.Work[0]
	seen := api.Observation{Endpoint: "127.0.0.1:9443", ChainOK: true, NameOK: true, Served: true, At: time.Now()}
	if err := a.Report(ctx, agentID, w.JobID, api.Report{Fence: w.Fence, Outcome: api.OutcomeDeployed, Observed: []api.Observation{seen}}); err != nil {
		t.Fatal(err)
	}
	deployments, err := c.ListCertificateDeployments(ctx, "mc-www", api.ListOptions{})
	if err != nil || len(deployments.Data) != 1 || deployments.Data[0].State != "InSync" || deployments.Data[0].Target.Name != "site" || len(deployments.Data[0].Observed) != 1 {
		t.Errorf("deployments: %+v, %v", deployments, err)
	}
	read, err := c.GetCertificate(ctx, "mc-www")
	if err != nil || read.Status != "Active" || !slices.Equal(read.TargetIDs, []string{target.ID}) || read.TTLSeconds != 86400 || read.ExpiresAt.IsZero() {
		t.Errorf("certificate: %+v, %v", read, err)
	}
	s.exports(c, read)
	renewal, err := c.RenewCertificate(ctx, "mc-www", api.RenewRequest{})
	if err != nil || renewal.Status != api.StatusRenewalTriggered {
		t.Fatalf("renewal: %+v, %v", renewal, err)
	}
	if _, err := c.RenewCertificate(ctx, "mc-www", api.RenewRequest{}); !errors.Is(err, client.ErrConflict) {
		t.Errorf("a second renewal: %v, want ErrConflict", err)
	}
	if j, err := c.CancelJob(ctx, renewal.JobID); err != nil || j.Status != "Cancelled" {
		t.Errorf("cancel: %+v, %v", j, err)
	}
	revoked, err := c.RevokeCertificate(ctx, "mc-www", api.RevokeRequest{Reason: "keyCompromise"})
	if err != nil || len(revoked.Revocations) != 1 || revoked.Revocations[0].SerialNumber != read.SerialNumber || revoked.Revocations[0].Reason != "keyCompromise" {
		t.Errorf("revocation: %+v, %v", revoked, err)
	}
	if _, err := c.RenewCertificate(ctx, "mc-www", api.RenewRequest{}); !errors.Is(err, client.ErrIllegalTransition) {
		t.Errorf("a renewal after the revocation: %v, want ErrIllegalTransition", err)
	}
	if log := s.log.String(); strings.Contains(log, canary) || strings.Contains(log, credential) || strings.Contains(log, s.keys[certctl.RoleAdmin]) {
		t.Error("the log has a secret in it")
	}
}

func (s *setup) exports(c *client.Client, cert *api.Certificate) {
	t := s.t
	t.Helper()
	x, err := c.ExportCertificatePEM(t.Context(), cert.ID, "")
	if err != nil || x.SerialNumber != cert.SerialNumber || !strings.HasPrefix(x.FullPEM, x.CertPEM) || strings.Contains(x.FullPEM, "PRIVATE KEY") {
		t.Errorf("export: %+v, %v", x, err)
	}
	a := s.send(s.keys[certctl.RoleViewer], http.MethodGet, "/api/v1/certificates/"+cert.ID+"/export/pem?download=true", "")
	if a.body != x.FullPEM || a.Header.Get("Content-Type") != "application/x-pem-file" || !strings.Contains(a.Header.Get("Content-Disposition"), "mc-www.pem") {
		t.Errorf("download: %v %.100s", a.Header, a.body)
	}
	if _, err := c.ExportCertificatePEM(t.Context(), cert.ID, "abcdef"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("export of an unknown serial: %v", err)
	}
	ca, err := c.GetIssuerCertificates(t.Context(), "iss-local")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca.PEM))
	block, _ := pem.Decode([]byte(x.CertPEM))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "www.example.com"}); err != nil {
		t.Errorf("what was issued does not verify: %v", err)
	}
}

func TestListsAreReadInPages(t *testing.T) {
	s := newSetup(t)
	c, ctx := s.admin(), t.Context()
	for i := range 7 {
		name := fmt.Sprintf("h%d.example.com", i)
		_, err := c.CreateCertificate(ctx, api.CertificateRequest{ID: fmt.Sprintf("mc-%d", i), SANs: []string{name}, Environment: []string{"test", "prod"}[i%2]})
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for cert, err := range c.Certificates(ctx, api.CertificateQuery{ListOptions: api.ListOptions{PageSize: 3, Sort: "-name"}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, cert.ID)
	}
	if want := []string{"mc-6", "mc-5", "mc-4", "mc-3", "mc-2", "mc-1", "mc-0"}; !slices.Equal(got, want) {
		t.Errorf("all pages: %v, want %v", got, want)
	}
	second, err := c.ListCertificates(ctx, api.CertificateQuery{ListOptions: api.ListOptions{Page: 2, PerPage: 3, Sort: "name"}})
	if err != nil || second.Total == nil || *second.Total != 7 || second.Page != 2 || second.PerPage != 3 || len(second.Data) != 3 || second.Data[0].ID != "mc-3" {
		t.Errorf("page 2: %+v, %v", second, err)
	}
	few, err := c.ListCertificates(ctx, api.CertificateQuery{Environment: []string{"prod"}, ListOptions: api.ListOptions{Total: true}})
	if err != nil || few.Total == nil || *few.Total != 3 || len(few.Data) != 3 {
		t.Errorf("filtered: %+v, %v", few, err)
	}
	a := s.send(s.keys[certctl.RoleViewer], http.MethodGet, "/api/v1/certificates?fields=id,name&page_size=2&sort=notAfter", "")
	if want := `{"data":[{"id":"mc-0","name":"h0.example.com"},{"id":"mc-1","name":"h1.example.com"}],"next_cursor":`; !strings.HasPrefix(a.body, want) {
		t.Errorf("sparse: %s, want %s…", a.body, want)
	}
	link := a.Header.Get("Link")
	next, found := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
	if !found {
		t.Fatalf("Link is %q", link)
	}
	if a := s.send(s.keys[certctl.RoleViewer], http.MethodGet, next, ""); !strings.Contains(a.body, `"mc-2"`) || strings.Contains(a.body, `"mc-1"`) {
		t.Errorf("the next page: %s", a.body)
	}
}

func TestRevisionsGuardChanges(t *testing.T) {
	s := newSetup(t)
	c, ctx := s.admin(), t.Context()
	team, err := c.CreateTeam(ctx, api.TeamCreate{ID: "t-ops", Name: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	name := "operations"
	changed, err := c.UpdateTeam(ctx, "t-ops", api.TeamUpdate{Name: &name}, client.IfMatch(team.Revision))
	if err != nil || changed.Name != name || changed.Revision != 2 {
		t.Fatalf("update: %+v, %v", changed, err)
	}
	if _, err := c.UpdateTeam(ctx, "t-ops", api.TeamUpdate{Name: &name}, client.IfMatch(team.Revision)); !errors.Is(err, client.ErrPrecondition) {
		t.Errorf("update of an old revision: %v, want ErrPrecondition", err)
	}
	if err := c.DeleteTeam(ctx, "t-ops", client.IfMatch(1)); !errors.Is(err, client.ErrPrecondition) {
		t.Errorf("deletion of an old revision: %v, want ErrPrecondition", err)
	}
	key := s.keys[certctl.RoleAdmin]
	for _, tag := range []string{`"0"`, `"-1"`, `0`, `2`, `W/"2"`, `"x"`, `"2`} {
		s.wants(s.send(key, http.MethodPut, "/api/v1/teams/t-ops", `{"name":"x"}`, "If-Match: "+tag), http.StatusPreconditionFailed, api.CodePrecondition)
	}
	read := s.send(key, http.MethodGet, "/api/v1/teams/t-ops", "")
	if read.Header.Get("ETag") != `"2"` {
		t.Errorf("ETag is %s", read.Header.Get("ETag"))
	}
	for _, tags := range []string{`"2"`, `"1", "2"`, `W/"2"`, `*`} {
		if a := s.send(key, http.MethodGet, "/api/v1/teams/t-ops", "", "If-None-Match: "+tags); a.StatusCode != http.StatusNotModified || a.body != "" || a.Header.Get("ETag") != `"2"` {
			t.Errorf("If-None-Match %s: %d %q", tags, a.StatusCode, a.body)
		}
	}
	if a := s.send(key, http.MethodGet, "/api/v1/teams/t-ops", "", `If-None-Match: "1"`); a.StatusCode != http.StatusOK || a.body == "" {
		t.Errorf("If-None-Match of an old ETag: %d", a.StatusCode)
	}
	if err := c.DeleteTeam(ctx, "t-ops", client.IfMatch(2)); err != nil {
		t.Error(err)
	}
	s.wants(s.send(key, http.MethodGet, "/api/v1/teams/t-ops", ""), http.StatusNotFound, api.CodeNotFound)
}

package agent_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
)

const (
	agentID    = "ag-1"
	joinToken  = "canary-join-token-5d1f"
	credential = "canary-credential-77aa"
	configWord = "canary-config-secret-c0de"
)

// plane is a control plane in memory that keeps to the protocol: a token
// works once, a claim is a lease with a fence, and what comes with an old
// fence is refused.
type plane struct {
	now   func() time.Time
	lease time.Duration
	ca    *authority

	mu         sync.Mutex
	wake       chan struct{}
	joined     bool
	credential string // "" after a revocation
	down       bool
	retired    bool
	jobs       []*planeJob
	beats      []time.Time
	lastBeat   api.Heartbeat
	claims     int
	refusals   int // answers with "fenced"
	targets    map[string]planeTarget
	onCSR      func(csr *x509.CertificateRequest) error
	onReport   func(api.Report) error
}

type planeTarget struct {
	kind   string
	config any
}

type planeJob struct {
	api.Work
	done   bool
	csr    *x509.CertificateRequest
	report *api.Report
}

var _ agent.ControlPlane = (*plane)(nil)

func newPlane(t testing.TB) *plane {
	return &plane{now: time.Now, lease: time.Minute, ca: newAuthority(t), wake: make(chan struct{}), credential: credential, targets: map[string]planeTarget{}}
}

func (p *plane) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.nudge()
}

// nudge wakes who waits. Callers hold mu.
func (p *plane) nudge() {
	close(p.wake)
	p.wake = make(chan struct{})
}

func (p *plane) look(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// check is what every call of an agent meets first.
func (p *plane) check(id string) error {
	switch {
	case p.down:
		return fmt.Errorf("dial: connection refused: %w", client.ErrUnavailable)
	case p.credential == "":
		return fmt.Errorf("credential revoked: %w", client.ErrUnauthenticated)
	case p.retired:
		return fmt.Errorf("agent retired: %w", client.ErrGone)
	case id != agentID:
		return fmt.Errorf("no such agent: %w", client.ErrNotFound)
	}
	return nil
}

func (p *plane) Join(_ context.Context, token string, r api.JoinRequest) (*api.JoinResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if token != joinToken || p.joined {
		return nil, fmt.Errorf("the token is unknown, used or expired: %w", client.ErrUnauthenticated)
	}
	p.joined = true
	return &api.JoinResponse{AgentID: agentID, Name: r.Hostname, Credential: credential}, nil
}

func (p *plane) Heartbeat(_ context.Context, id string, h api.Heartbeat) (*api.HeartbeatResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beats = append(p.beats, p.now())
	p.nudge()
	if err := p.check(id); err != nil {
		return nil, err
	}
	p.lastBeat = h
	return &api.HeartbeatResponse{Status: "Online", ServerTime: p.now(), IntervalSeconds: 60}, nil
}

func (p *plane) ClaimWork(ctx context.Context, id string, r api.WorkRequest) (*api.WorkResponse, error) {
	timeout := time.NewTimer(time.Duration(r.WaitSeconds) * time.Second)
	defer timeout.Stop()
	p.change(func() { p.claims++ })
	for {
		p.mu.Lock()
		wake := p.wake
		if err := p.check(id); err != nil {
			p.mu.Unlock()
			return nil, err
		}
		var work []api.Work
		for _, j := range p.jobs {
			if !j.done && !j.LeaseUntil.After(p.now()) && len(work) < max(r.Max, 1) {
				j.Fence++
				j.LeaseUntil = p.now().Add(p.lease)
				work = append(work, j.Work)
			}
		}
		p.mu.Unlock()
		if len(work) > 0 {
			return &api.WorkResponse{Work: work}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			return &api.WorkResponse{}, nil
		case <-wake:
		}
	}
}

// held finds a job by a valid fence. Callers hold mu.
func (p *plane) held(id, jobID string, fence int64) (*planeJob, error) {
	if err := p.check(id); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.jobs, func(j *planeJob) bool { return j.JobID == jobID })
	if i < 0 {
		return nil, fmt.Errorf("no such job: %w", client.ErrNotFound)
	}
	if j := p.jobs[i]; !j.done && j.Fence == fence && j.LeaseUntil.After(p.now()) {
		return j, nil
	}
	p.refusals++
	return nil, fmt.Errorf("somebody else's: %w", client.ErrFenced)
}

func (p *plane) SubmitCSR(ctx context.Context, id, jobID string, s api.CSRSubmission) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	j, err := p.held(id, jobID, s.Fence)
	hook := p.onCSR
	p.mu.Unlock()
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(s.CSRPEM))
	if block == nil {
		return errors.New("no PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return err
	}
	if hook != nil {
		if err := hook(csr); err != nil {
			return err
		}
	}
	leaf := p.ca.sign(csr)
	p.change(func() {
		j.csr, j.done = csr, true
		for targetID := range p.targets {
			p.deployment(j.CertificateID, targetID, j.Generation, leaf)
		}
	})
	return nil
}

func (p *plane) Report(ctx context.Context, id, jobID string, r api.Report) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	hook := p.onReport
	p.mu.Unlock()
	if hook != nil {
		if err := hook(r); err != nil {
			return err
		}
	}
	p.mu.Lock()
	j, err := p.held(id, jobID, r.Fence)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	p.change(func() { j.report, j.done = &r, true })
	return nil
}

func (p *plane) ExtendLease(_ context.Context, id, jobID string, fence int64) (*api.LeaseResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j, err := p.held(id, jobID, fence)
	if err != nil {
		return nil, err
	}
	j.LeaseUntil = p.now().Add(p.lease)
	return &api.LeaseResponse{LeaseUntil: j.LeaseUntil}, nil
}

func (p *plane) RotateCredential(_ context.Context, id string) (*api.CredentialResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(id); err != nil {
		return nil, err
	}
	p.credential = credential + "-rotated"
	return &api.CredentialResponse{Credential: p.credential, OldUntil: p.now().Add(time.Hour)}, nil
}

// issue asks for a key and a CSR.
func (p *plane) issue(certificateID string, generation int64, algorithm string, sans ...string) *planeJob {
	j := &planeJob{Work: api.Work{
		JobID: fmt.Sprintf("job-csr-%s-%d", certificateID, generation), Kind: api.WorkCSR,
		CertificateID: certificateID, Generation: generation, CommonName: "localhost", SANs: sans, KeyAlgorithm: algorithm,
	}}
	p.change(func() { p.jobs = append(p.jobs, j) })
	return j
}

// deployment adds the work of deploying a leaf. Callers hold mu.
func (p *plane) deployment(certificateID, targetID string, generation int64, leaf *x509.Certificate) *planeJob {
	place := p.targets[targetID]
	config, err := json.Marshal(place.config)
	if err != nil {
		panic(err)
	}
	j := &planeJob{Work: api.Work{
		JobID: fmt.Sprintf("job-deploy-%s-%s-%d", certificateID, targetID, generation), Kind: api.WorkDeploy,
		CertificateID: certificateID, Generation: generation,
		TargetID: targetID, TargetType: place.kind, TargetConfig: config,
		CertPEM: certPEM(leaf), RootsPEM: certPEM(p.ca.cert),
	}}
	p.jobs = append(p.jobs, j)
	return j
}

// add hands out a work as it is.
func (p *plane) add(w api.Work) *planeJob {
	j := &planeJob{Work: w}
	p.change(func() { p.jobs = append(p.jobs, j) })
	return j
}

// wait blocks until the condition holds, which is looked at under the lock.
func (p *plane) wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		p.mu.Lock()
		ok, wake := holds(), p.wake
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-wake:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// reported waits for the report of the deployment of a generation.
func (p *plane) reported(t testing.TB, certificateID, targetID string, generation int64) api.Report {
	t.Helper()
	id := fmt.Sprintf("job-deploy-%s-%s-%d", certificateID, targetID, generation)
	var report api.Report
	p.wait(t, "the report of "+id, func() bool {
		for _, j := range p.jobs {
			if j.JobID == id && j.report != nil {
				report = *j.report
				return true
			}
		}
		return false
	})
	return report
}

func (p *plane) answer(t testing.TB, j *planeJob) api.Report {
	t.Helper()
	var report api.Report
	p.wait(t, "the report of "+j.JobID, func() bool {
		if j.report == nil {
			return false
		}
		report = *j.report
		return true
	})
	return report
}

// authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert: cert, key: key}
}

func (a *authority) sign(csr *x509.CertificateRequest) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: csr.Subject, DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses,
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, csr.PublicKey, a.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

func certPEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

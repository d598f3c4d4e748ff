package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/keys"
)

// OwnCertificateID is the managed certificate that the control plane itself
// serves with. It is issued, recorded and revocable like every other.
const OwnCertificateID = "mc-certctl-server"

// certificateKeeper holds the certificate that is served now.
type certificateKeeper struct {
	current atomic.Pointer[tls.Certificate]
}

func (k *certificateKeeper) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return k.current.Load(), nil
}

// keepCertificate loads the server's certificate and keeps it fresh until run
// ends: the configured files, or one of the own CA.
func (s *Server) keepCertificate(ctx, run context.Context) (*certificateKeeper, error) {
	k := &certificateKeeper{}
	refresh := s.refreshOwn
	if s.o.TLSCertFile != "" {
		refresh = s.refreshFiles
	}
	if err := refresh(ctx, k); err != nil {
		return nil, err
	}
	s.group.Go(func() {
		t := time.NewTicker(time.Minute)
		defer t.Stop()
		for {
			select {
			case <-run.Done():
				return
			case <-t.C:
			}
			if err := refresh(run, k); err != nil && run.Err() == nil {
				s.log.ErrorContext(run, "the server's TLS certificate was not refreshed; the old one is served on", "error", err)
			}
		}
	})
	return k, nil
}

func (s *Server) refreshFiles(_ context.Context, k *certificateKeeper) error {
	pair, err := tls.LoadX509KeyPair(s.o.TLSCertFile, s.o.TLSKeyFile)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", s.o.TLSCertFile, s.o.TLSKeyFile, err)
	}
	k.current.Store(&pair)
	return nil
}

// refreshOwn serves the newest version of the own certificate, and asks for the
// next when half of its life is over or a name is missing.
func (s *Server) refreshOwn(ctx context.Context, k *certificateKeeper) error {
	names := s.ownNames()
	pair, err := s.loadOwn(ctx)
	if err != nil {
		return err
	}
	if pair == nil || s.stale(pair.Leaf, names) {
		if err := s.requestOwn(ctx, names); err != nil {
			if pair == nil {
				return err
			}
			s.log.ErrorContext(ctx, "the server's own certificate was not renewed", "error", err)
		} else if pair, err = s.loadOwn(ctx); err != nil {
			return err
		}
	}
	if pair == nil {
		return errors.New("it was issued, but its key is not in the database")
	}
	k.current.Store(pair)
	return nil
}

func (s *Server) stale(leaf *x509.Certificate, names []string) bool {
	half := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
	return s.o.Now().After(half) || slices.ContainsFunc(names, func(n string) bool { return leaf.VerifyHostname(n) != nil })
}

// ownNames are localhost, the listen address, and what the options add.
func (s *Server) ownNames() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(s.control.Addr().String()); err == nil {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsUnspecified() {
			names = append(names, host)
		}
	}
	if host, _, err := net.SplitHostPort(s.o.Listen); err == nil && host != "" {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsUnspecified() {
			names = append(names, host)
		}
	}
	names = append(names, s.o.TLSNames...)
	slices.Sort(names)
	return slices.Compact(names)
}

// ownVault keeps the keys, sealed, so that replicas share them.
const ownVault = "certctl-server"

func ownKeyName(generation int64) string { return fmt.Sprintf("tls-key-%d", generation) }

// loadOwn returns the newest issued version with its key, or nil.
func (s *Server) loadOwn(ctx context.Context) (*tls.Certificate, error) {
	var v *certctl.CertificateVersion
	err := s.engine.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		c, err := r.Certificates().Get(ctx, OwnCertificateID)
		if err != nil || c.CurrentVersionID == "" {
			return err
		}
		v, err = r.Versions().Get(ctx, c.CurrentVersionID)
		return err
	})
	if errors.Is(err, certctl.ErrNotFound) || (err == nil && v == nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keyPEM, err := s.engine.Vault(ownVault).Get(ctx, ownKeyName(v.Generation))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(v.CertPEM+v.ChainPEM), keyPEM)
	return &pair, err
}

// requestOwn issues the next version and waits for it. Replicas that do so at
// once share one key and one certificate.
func (s *Server) requestOwn(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ctx = certctl.WithActor(ctx, certctl.Actor{ID: "server", Name: "certctl-server", Type: certctl.ActorSystem, Role: certctl.RoleAdmin})
	var c *certctl.Certificate
	err := s.engine.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		c, err = r.Certificates().Get(ctx, OwnCertificateID)
		return err
	})
	generation := int64(1)
	switch {
	case err == nil:
		generation = c.Generation + 1
	case !errors.Is(err, certctl.ErrNotFound):
		return err
	}
	csr, err := s.ownCSR(ctx, generation, names)
	if err != nil {
		return err
	}
	job, err := s.orderOwn(ctx, c, names, csr)
	if err != nil {
		return err
	}
	j, err := s.engine.WaitJob(ctx, job)
	if err != nil {
		return err
	}
	if j.Status != certctl.JobCompleted {
		return fmt.Errorf("job %s is %s: %s", j.ID, j.Status, j.LastError)
	}
	return nil
}

// orderOwn returns the job that makes the next version: a new one, or the live
// one of another replica or of a start that was cut short.
func (s *Server) orderOwn(ctx context.Context, c *certctl.Certificate, names []string, csr string) (string, error) {
	var out *engine.Issuance
	var err error
	if c == nil {
		out, err = s.engine.RequestCertificate(ctx, engine.CertificateRequest{
			ID: OwnCertificateID, Name: "certctl control plane", SANs: names, IssuerID: LocalIssuerID, CSRPEM: csr, Source: "Server",
		})
	} else {
		if !slices.Equal(c.SANs, names) {
			if _, err := s.engine.UpdateCertificate(ctx, c.ID, engine.CertificateChange{SANs: &names}, 0); err != nil {
				return "", err
			}
		}
		out, err = s.engine.Renew(ctx, c.ID, engine.RenewOptions{CSRPEM: csr})
	}
	if err == nil {
		return out.Job.ID, nil
	}
	if !errors.Is(err, certctl.ErrConflict) {
		return "", err
	}
	live := ""
	err = errors.Join(err, s.engine.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.Jobs().List(ctx, certctl.JobFilter{
			CertificateIDs: []string{OwnCertificateID}, Statuses: []string{string(certctl.JobPending), string(certctl.JobRunning)},
		}, certctl.Page{Limit: 1})
		if err == nil && len(page.Items) > 0 {
			live = page.Items[0].ID
		}
		return err
	}))
	if live == "" {
		return "", err
	}
	return live, nil
}

func (s *Server) ownCSR(ctx context.Context, generation int64, names []string) (string, error) {
	key, err := keys.Generate(keys.ECDSAP256)
	if err != nil {
		return "", err
	}
	keyPEM, err := keys.MarshalPEM(key)
	if err != nil {
		return "", err
	}
	if keyPEM, err = s.engine.Vault(ownVault).Create(ctx, ownKeyName(generation), keyPEM); err != nil {
		return "", err
	}
	if key, err = keys.ParsePEM(keyPEM); err != nil {
		return "", err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

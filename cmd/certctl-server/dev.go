package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server"
	targets "github.com/certctl/certctl/target/all"
	"github.com/urfave/cli/v2"
)

// IDs of what a first "dev" run makes.
const (
	devCertificate = "mc-demo"
	devTarget      = "tgt-demo"
	devAgentName   = "dev-agent"
)

func silentLog() *log.Logger { return log.New(io.Discard, "", 0) }

// ready is DIR/ready.json, written once the site's certificate was verified.
type ready struct {
	ServerURL     string `json:"server_url"`
	PKIURL        string `json:"pki_url"`
	SiteURL       string `json:"site_url"`
	CAFile        string `json:"ca_file"`
	AdminKeyFile  string `json:"admin_key_file"`
	CertificateID string `json:"certificate_id"`
	AgentID       string `json:"agent_id"`
	IssuerID      string `json:"issuer_id"`
}

// runDev is the first run: server, agent and site in one process, each through
// the same doors as in production.
func runDev(c *cli.Context) (err error) {
	begun := time.Now()
	if !c.IsSet("log-level") {
		if err := c.Set("log-level", "error"); err != nil { // the story is told in words below
			return err
		}
	}
	if !c.IsSet("log-format") {
		if err := c.Set("log-format", "text"); err != nil {
			return err
		}
	}
	in, err := open(c)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := forget(in.folder.path("ready.json")); err != nil { // of a run that was killed
		return err
	}
	if err := os.MkdirAll(in.folder.path("site"), 0o755); err != nil {
		return err
	}
	web, err := newSite(c.String("site-listen"), in.folder.path("site/cert.pem"), in.folder.path("site/key.pem"))
	if err != nil {
		return err
	}
	d := &dev{instance: in, out: c.App.Writer, site: web, begun: begun}
	if err := in.server.Start(c.Context); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(c.Context)
	defer cancel(nil)
	go func() {
		if err := web.serve(); err != nil {
			cancel(err)
		}
	}()
	agentDone := make(chan struct{})
	defer func() {
		cancel(nil)
		<-agentDone
		err = errors.Join(err, forget(in.folder.path("ready.json")), web.http.Close(), in.server.Stop(context.WithoutCancel(c.Context)))
	}()
	a, err := d.prepare(ctx)
	if err != nil {
		close(agentDone)
		return err
	}
	go func() {
		defer close(agentDone)
		if err := a.Run(ctx); err != nil && ctx.Err() == nil {
			cancel(fmt.Errorf("the agent has stopped: %w", err))
		}
	}()
	if err := d.walk(ctx); err != nil {
		if c.Context.Err() != nil { // stopped by hand on the way
			return nil
		}
		return errors.Join(err, context.Cause(ctx))
	}
	<-ctx.Done()
	if c.Context.Err() == nil {
		return context.Cause(ctx)
	}
	fmt.Fprintln(d.out, "\nStopped. Start again with the same command: everything is kept.")
	return nil
}

// forget removes a file, if it is there.
func forget(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

type dev struct {
	*instance
	out   io.Writer
	site  *site
	begun time.Time
	id    *agent.Identity
}

func (d *dev) say(format string, a ...any) {
	fmt.Fprintf(d.out, "%6.2fs  %s\n", time.Since(d.begun).Seconds(), fmt.Sprintf(format, a...))
}

// prepare publishes the files, and joins the agent at the first run.
func (d *dev) prepare(ctx context.Context) (*agent.Agent, error) {
	if err := d.publish(ctx); err != nil {
		return nil, err
	}
	d.say("The control plane serves on %s (data in %s).", d.server.URL(), d.folder.dir)
	d.say("CRL and OCSP are on %s, over plain HTTP, as RFC 5280 wants it.", d.server.PKIURL())
	if d.fresh {
		d.say("An admin key was made: %s (only you can read it).", d.folder.path("admin.key"))
	}
	anonymous, err := client.New(d.server.URL(), client.WithCAFile(d.folder.path("ca.pem")))
	if err != nil {
		return nil, err
	}
	dir := d.folder.path("agent")
	d.id, err = agent.LoadIdentity(dir)
	if errors.Is(err, agent.ErrNotJoined) {
		host, _ := os.Hostname() // a name for people; empty is fine
		token, _, err := d.server.Engine().CreateJoinToken(ctx, engine.JoinTokenInput{AgentName: devAgentName})
		if err != nil {
			return nil, err
		}
		d.id, err = agent.Join(ctx, anonymous, token, dir, api.JoinRequest{
			Hostname: host, OS: runtime.GOOS, Architecture: runtime.GOARCH, Version: version,
		})
		if err != nil {
			return nil, err
		}
		d.say("An agent joined with a one-time token and got a credential of its own (%s).", d.id.AgentID)
	} else if err != nil {
		return nil, err
	}
	cp, err := client.New(d.server.URL(), client.WithCAFile(d.folder.path("ca.pem")), client.WithAPIKey(d.id.Credential.Reveal()))
	if err != nil {
		return nil, err
	}
	kinds, err := connector.NewRegistry(targets.Kinds()...)
	if err != nil {
		return nil, err
	}
	return agent.New(agent.Options{
		Server: cp, Targets: kinds, Dir: dir, Now: time.Now, Logger: d.log, Facts: agent.Facts{Version: version},
	})
}

// walk takes the certificate from wish to proof, or finds it done.
func (d *dev) walk(ctx context.Context) error {
	ctx = certctl.WithActor(ctx, certctl.Actor{ID: "dev", Name: "certctl-server dev", Type: certctl.ActorSystem, Role: certctl.RoleAdmin})
	if err := d.request(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	b, err := d.awaitDeployment(ctx)
	if err != nil {
		return err
	}
	for _, o := range b.Observed {
		d.say("Probed %s from outside: it serves serial %s over %s; chain and name are right.", o.Endpoint, o.Serial, o.TLSVersion)
	}
	r := ready{
		ServerURL: d.server.URL(), PKIURL: d.server.PKIURL(), SiteURL: "https://localhost:" + port(d.site.address()) + "/",
		CAFile: d.folder.path("ca.pem"), AdminKeyFile: d.folder.path("admin.key"),
		CertificateID: devCertificate, AgentID: d.id.AgentID, IssuerID: server.LocalIssuerID,
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(d.folder.path("ready.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	d.hints(r)
	return nil
}

// request asks for the demonstration certificate, unless an earlier run did.
func (d *dev) request(ctx context.Context) error {
	e := d.server.Engine()
	var known *certctl.Certificate
	err := e.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		known, err = r.Certificates().Get(ctx, devCertificate)
		return err
	})
	if err == nil {
		d.say("Certificate %s is %s already (serial %s); nothing is issued.", known.ID, known.Status, known.Serial)
		return nil
	}
	if !errors.Is(err, certctl.ErrNotFound) {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"cert_path": d.site.cert, "key_path": d.site.key,
		"endpoints": []map[string]string{{"address": d.site.address(), "server_name": "localhost"}},
	})
	if err != nil {
		return err
	}
	_, err = e.CreateTarget(ctx, engine.ConnectorInput{ID: devTarget, Name: "demonstration site", Type: "files", AgentID: d.id.AgentID, Config: config})
	if err != nil && !errors.Is(err, certctl.ErrConflict) { // a conflict: a run before was cut short here
		return err
	}
	out, err := e.RequestCertificate(ctx, engine.CertificateRequest{
		ID: devCertificate, Name: "demo", CommonName: "localhost", SANs: []string{"localhost", "demo.localhost", "127.0.0.1"},
		IssuerID: server.LocalIssuerID, TargetIDs: []string{devTarget},
	})
	if err != nil {
		return err
	}
	d.say("Asked for certificate %s: localhost, demo.localhost, 127.0.0.1 (job %s).", devCertificate, out.Job.ID)
	return nil
}

// awaitDeployment waits until the newest version is deployed and was seen. A
// certificate that somebody revoked or archived is not waited for.
func (d *dev) awaitDeployment(ctx context.Context) (*certctl.Binding, error) {
	told := int64(0)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var c *certctl.Certificate
		var b *certctl.Binding
		var job *certctl.Job
		err := d.server.Engine().View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
			if c, err = r.Certificates().Get(ctx, devCertificate); err != nil {
				return err
			}
			page, err := r.Bindings().List(ctx, certctl.BindingFilter{CertificateIDs: []string{devCertificate}}, certctl.Page{Limit: 1})
			if err != nil || len(page.Items) == 0 {
				return err
			}
			b = page.Items[0]
			jobs, err := r.Jobs().List(ctx, certctl.JobFilter{CertificateIDs: []string{devCertificate}}, certctl.Page{Limit: 1, Desc: true})
			if err == nil && len(jobs.Items) > 0 {
				job = jobs.Items[0]
			}
			return err
		})
		switch {
		case err != nil:
			return nil, err
		case b == nil || c.Status == certctl.CertificateRevoked || c.Status == certctl.CertificateArchived || c.Status == certctl.CertificateExpired:
			d.say("Certificate %s is %s: %s. Use another --data-dir to see a fresh run.", c.ID, c.Status, c.StatusReason)
			return &certctl.Binding{}, nil
		case c.Generation > told && told == 0 && b.State == certctl.BindingPending:
			d.say("The agent made a key that never leaves it; the CA signed serial %s, valid until %s.", c.Serial, c.ExpiresAt.UTC().Format(time.RFC3339))
			told = c.Generation
		case b.State == certctl.BindingInSync && b.DeployedGeneration == c.Generation && b.Verification == certctl.VerificationSuccess:
			if told > 0 {
				d.say("The agent put it onto the site: checked, swapped, verified.")
			}
			return b, nil
		case b.State == certctl.BindingFailed || b.State == certctl.BindingRollbackFailed:
			return nil, fmt.Errorf("the deployment failed: %s", b.StateReason)
		case job != nil && job.Status == certctl.JobFailed:
			return nil, fmt.Errorf("job %s failed: %s", job.ID, job.LastError)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("certificate %s was not deployed in time (it is %s, its binding %s): %w", devCertificate, c.Status, b.State, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func port(address string) string {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return p
}

// hints are lines that work when they are pasted into another terminal.
func (d *dev) hints(r ready) {
	cliLine := "go run ./cmd/certctl-cli --data-dir " + quote(d.folder.dir)
	fmt.Fprintf(d.out, `
Ready. Try, in another terminal:

  curl --cacert %[1]s %[2]s
  openssl s_client -connect %[3]s -servername localhost -CAfile %[1]s -verify_return_error </dev/null
  %[4]s certs list
  %[4]s certs renew %[5]s --wait
  %[4]s certs revoke %[5]s --reason keyCompromise
  curl -s %[6]s/.well-known/pki/crl/%[7]s | openssl crl -inform DER -noout -text

Ctrl-C stops; the next start goes on with the same CA and certificate.
`, quote(r.CAFile), r.SiteURL, d.site.address(), cliLine, devCertificate, r.PKIURL, r.IssuerID)
}

package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
)

// task is one challenge to be answered.
type task struct {
	acme.Challenge
	name     string // DNS name or IP address
	wildcard bool
	account  *acme.Account
}

// solver puts answers where the CA looks for them. cleanup, which is never nil,
// takes all of them away.
type solver interface {
	present(ctx context.Context, tasks []task) (cleanup func(), err error)
}

func (c Config) solver(env connector.Env) solver {
	switch {
	case c.usesDNS():
		return newDNS(c, env)
	case c.ChallengeType == tlsALPN01:
		return &alpnSolver{doorAddress(c.ListenAddress, c.TLSPort)}
	case c.Webroot != "":
		return webroot(c.Webroot)
	}
	return &httpSolver{doorAddress(c.ListenAddress, c.HTTPPort)}
}

// validating is how long the answers of one look at an order stay up; a CA that
// takes longer is given new ones at the next.
const validating = 2 * time.Minute

// authorize validates what is not validated yet, and reports when to look again
// if the CA has not made up its mind.
func (ca *CA) authorize(ctx context.Context, account *acme.Account, urls []string) (again time.Duration, err error) {
	var open []acme.Authorization
	var tasks []task
	for _, u := range urls {
		a, err := ca.client.GetAuthorization(ctx, *account, u)
		if err != nil {
			return 0, ca.explain("an authorization cannot be looked at", err, false)
		}
		switch a.Status {
		case acme.StatusValid:
			continue
		case acme.StatusPending:
		default:
			return 0, ca.refusal(a)
		}
		t, err := ca.choose(a, account)
		if err != nil {
			return 0, err
		}
		open, tasks = append(open, a), append(tasks, t)
	}
	if len(open) == 0 {
		return 0, nil
	}
	cleanup, err := ca.solver.present(ctx, tasks)
	defer cleanup()
	if err != nil {
		return 0, &issuer.Error{Kind: issuer.ErrNotDone, Err: fmt.Errorf("the challenge cannot be answered: %w", err)}
	}
	for _, t := range tasks {
		if t.Status != acme.StatusPending { // begun before a crash
			continue
		}
		if _, err := ca.client.InitiateChallenge(ctx, *account, t.Challenge); err != nil {
			return 0, ca.explain("the challenge for "+t.name+" was not begun", err, false)
		}
	}
	until, cancel := context.WithTimeout(ctx, validating)
	defer cancel()
	for n := 0; len(open) > 0; {
		call, heard := listen(until)
		a, err := ca.client.GetAuthorization(call, *account, open[0].Location)
		if err != nil {
			if until.Err() != nil && ctx.Err() == nil {
				return pollInterval, nil
			}
			return 0, ca.explain("an authorization cannot be looked at", err, false)
		}
		switch a.Status {
		case acme.StatusValid:
			open = open[1:]
			continue
		case acme.StatusPending:
		default:
			return 0, ca.refusal(a)
		}
		n++
		if err := wait(until, heard.pause(min(time.Duration(n)*250*time.Millisecond, pollInterval))); err != nil {
			if ctx.Err() == nil {
				return pollInterval, nil
			}
			return 0, &issuer.Error{Kind: issuer.ErrNotDone, Err: fmt.Errorf("the CA has not validated in time: %w", err)}
		}
	}
	return 0, nil
}

// choose takes the challenge of the configured type.
func (ca *CA) choose(a acme.Authorization, account *acme.Account) (task, error) {
	var offered []string
	wanted := []string{ca.config.ChallengeType}
	if ca.config.ChallengeType == dnsPersist1 { // a draft that not every CA has
		wanted = append(wanted, dns01)
	}
	for _, c := range a.Challenges {
		offered = append(offered, c.Type)
	}
	for _, kind := range wanted {
		for _, c := range a.Challenges {
			if c.Type == kind {
				return task{Challenge: c, name: a.Identifier.Value, wildcard: a.Wildcard, account: account}, nil
			}
		}
	}
	name := a.Identifier.Value
	if a.Wildcard {
		name = "*." + name
	}
	slices.Sort(offered)
	return task{}, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf(
		"the CA validates %s by %s, and challenge_type is %s", name, strings.Join(offered, ", "), ca.config.ChallengeType)}
}

// refusal says why an authorization failed.
func (ca *CA) refusal(a acme.Authorization) error {
	for _, c := range a.Challenges {
		if c.Error != nil {
			return issuer.Refusedf("%s was not validated by %s: %s", a.Identifier.Value, c.Type, words(*c.Error))
		}
	}
	return issuer.Refusedf("%s was not validated: the authorization is %s", a.Identifier.Value, issuer.Clip(a.Status))
}

// failed says why an order did.
func (ca *CA) failed(ctx context.Context, account *acme.Account, order acme.Order) error {
	for _, u := range order.Authorizations {
		a, err := ca.client.GetAuthorization(ctx, *account, u)
		if err != nil {
			break
		}
		if a.Status != acme.StatusValid && a.Status != acme.StatusPending {
			return ca.refusal(a)
		}
	}
	if order.Error != nil {
		return issuer.Refusedf("the order failed: %s", words(*order.Error))
	}
	return issuer.Refusedf("the order failed, and the CA does not say why")
}

// errBadToken is what a token is that could lead out of a folder (RFC 8555
// section 8.1: base64url).
var errBadToken = errors.New("the CA's token is not base64url")

func goodToken(token string) bool {
	return token != "" && len(token) <= 512 && !strings.ContainsFunc(token, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	})
}

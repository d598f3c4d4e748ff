package acme

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mholt/acmez/v3/acme"

	"github.com/certctl/certctl/issuer"
)

// advice is what to do about the problems of RFC 8555 section 6.7, and the
// outcome that each has.
var advice = map[string]struct {
	kind error
	text string
}{
	acme.ProblemTypeAccountDoesNotExist:     {issuer.ErrConfig, "the CA does not know the account any more; make another issuer, which registers a new one"},
	acme.ProblemTypeAlreadyRevoked:          {issuer.ErrRefused, ""},
	acme.ProblemTypeBadCSR:                  {issuer.ErrRefused, "the CA does not accept the CSR: its key may be too weak, or its names not those of the order"},
	acme.ProblemTypeBadNonce:                {issuer.ErrNotDone, "the CA refused our nonces again and again; it is tried again"},
	acme.ProblemTypeBadPublicKey:            {issuer.ErrRefused, "the CA does not accept this key; choose another algorithm or size"},
	acme.ProblemTypeBadRevocationReason:     {issuer.ErrRefused, "the CA does not take this reason; revoke with another"},
	acme.ProblemTypeBadSignatureAlgorithm:   {issuer.ErrRefused, "the CA does not accept the account key's algorithm"},
	acme.ProblemTypeCAA:                     {issuer.ErrRefused, "a CAA record forbids the CA to issue; add one that names it (RFC 8659)"},
	acme.ProblemTypeCompound:                {issuer.ErrRefused, ""},
	acme.ProblemTypeConnection:              {issuer.ErrRefused, "the CA could not reach the server; see that the name points here, and that the port is open to the Internet"},
	acme.ProblemTypeDNS:                     {issuer.ErrRefused, "the CA could not resolve the name; see that its zone is answered, and DNSSEC is right"},
	acme.ProblemTypeExternalAccountRequired: {issuer.ErrConfig, "set eab_kid and eab_hmac to what the CA shows in your account there"},
	acme.ProblemTypeIncorrectResponse:       {issuer.ErrRefused, "what the CA saw is not what was put there; another server may answer for the name, or an old record is cached"},
	acme.ProblemTypeInvalidContact:          {issuer.ErrConfig, "the CA does not accept the e-mail address"},
	acme.ProblemTypeMalformed:               {issuer.ErrRefused, ""},
	acme.ProblemTypeOrderNotReady:           {issuer.ErrNotDone, "the order is not ready yet; it is looked at again"},
	acme.ProblemTypeRateLimited:             {issuer.ErrNotDone, "the CA's rate limit is reached; it is tried again when the CA permits"},
	acme.ProblemTypeRejectedIdentifier:      {issuer.ErrRefused, "the CA does not issue for this name"},
	acme.ProblemTypeServerInternal:          {issuer.ErrUnknown, "the CA has trouble of its own"},
	acme.ProblemTypeTLS:                     {issuer.ErrRefused, "the CA met a TLS error at the server; for tls-alpn-01 nothing may end TLS in front of it"},
	acme.ProblemTypeUnauthorized:            {issuer.ErrRefused, "the CA saw something else than the answer that was put there, or the account may not do this"},
	acme.ProblemTypeUnsupportedContact:      {issuer.ErrConfig, "the CA does not accept the e-mail address"},
	acme.ProblemTypeUnsupportedIdentifier:   {issuer.ErrRefused, "the CA does not issue for names of this type"},
	acme.ProblemTypeUserActionRequired:      {issuer.ErrConfig, "the CA wants you to do something first, such as to agree to new terms; it says where"},
}

// explain translates a failure. changing: the call may have changed something at
// the CA, where no answer came.
func (ca *CA) explain(what string, err error, changing bool) error {
	unanswered := issuer.ErrNotDone
	if changing {
		unanswered = issuer.ErrUnknown
	}
	var already *issuer.Error
	var p acme.Problem
	var pp *acme.Problem
	var quiet *patience
	switch {
	case errors.As(err, &already):
		return &issuer.Error{Kind: already.Kind, After: already.After, Err: fmt.Errorf("%s: %w", what, already.Err)}
	case errors.As(err, &p):
	case errors.As(err, &pp) && pp != nil:
		p = *pp
	case errors.As(err, &quiet):
		return &issuer.Error{Kind: issuer.ErrNotDone, After: quiet.after, Err: fmt.Errorf("%s: %w", what, quiet)}
	case ca.manners.left() > 0: // a 429 or 503 without words
		left := ca.manners.left()
		return &issuer.Error{Kind: issuer.ErrNotDone, After: left, Err: fmt.Errorf("%s: %w", what, &patience{left})}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &issuer.Error{Kind: unanswered, Err: fmt.Errorf("%s: the CA did not answer in time: %w", what, err)}
	default:
		return &issuer.Error{Kind: unanswered, Err: fmt.Errorf("%s: %s", what, issuer.Clip(err.Error()))}
	}
	kind, text := issuer.ErrRefused, words(p)
	if a, ok := advice[p.Type]; ok {
		kind = a.kind
	} else if p.Status >= 400 {
		kind = issuer.KindOfStatus(p.Status)
	}
	return &issuer.Error{Kind: kind, After: ca.manners.left(), Err: fmt.Errorf("%s: %s", what, text)}
}

// words are what the CA says, for whom, and what to do.
func words(p acme.Problem) string {
	var b strings.Builder
	b.WriteString("the CA says: ")
	b.WriteString(issuer.Clip(p.Detail))
	if p.Detail == "" {
		b.WriteString(issuer.Clip(p.Title))
	}
	if short := strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace); short != "" {
		fmt.Fprintf(&b, " (%s)", issuer.Clip(short))
	}
	for n, s := range p.Subproblems {
		if n == 5 {
			fmt.Fprintf(&b, "; and %d more", len(p.Subproblems)-n)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", issuer.Clip(s.Identifier.Value), issuer.Clip(s.Detail))
	}
	if a := advice[p.Type]; a.text != "" {
		b.WriteString(": " + a.text)
	}
	return b.String()
}

// notItsReplacement reports whether an order was refused that names what it
// replaces: that was replaced already, or is not of this CA or account (RFC 9773
// section 5). The order is placed without, then.
func notItsReplacement(err error) bool {
	var p acme.Problem
	if !errors.As(err, &p) {
		return false
	}
	switch p.Type {
	case acme.ProblemTypeAlreadyReplaced, acme.ProblemTypeMalformed, acme.ProblemTypeUnauthorized:
		return true
	}
	return false
}

// identifiers are the names of a request as an order has them (RFC 8555 section
// 9.7.7, RFC 8738).
func identifiers(req *issuer.Request) []acme.Identifier {
	var out []acme.Identifier
	for _, n := range req.DNSNames {
		out = append(out, acme.Identifier{Type: "dns", Value: fold(n)})
	}
	for _, s := range req.IPs {
		if ip, err := netip.ParseAddr(s); err == nil {
			s = ip.Unmap().String()
		}
		out = append(out, acme.Identifier{Type: "ip", Value: s})
	}
	return out
}

func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

package agent

import (
	"context"
	"log/slog"
	"regexp"
	"strings"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/target"
)

// Bounds of a report, as in the protocol.
const (
	maxError    = 4096
	maxOutput   = 65536
	maxObserved = 64
)

// notStarted is the report of work that was given up before anything live was
// touched.
func notStarted(w api.Work, err error) *api.Report {
	return &api.Report{Fence: w.Fence, Outcome: api.OutcomeNotStarted, Error: err.Error()}
}

// final is notStarted for work that cannot succeed by being repeated.
func final(w api.Work, err error) *api.Report {
	r := notStarted(w, err)
	r.Final = true
	return r
}

// report answers work until the server has taken the answer, or does not want
// it any more. It makes at least one attempt, even when ctx has ended.
func (a *Agent) report(ctx context.Context, w api.Work, r api.Report, log *slog.Logger) {
	r = bounded(r)
	v := a.insist(ctx, func(ctx context.Context) error { return a.o.Server.Report(ctx, a.id, w.JobID, r) })
	switch v {
	case accepted:
		log.Debug("report accepted")
	case temporary, unauthenticated:
		log.Warn("the report could not be sent before the agent stopped; the control plane will hand out the work again")
	case lost, gone, unknownAgent:
		log.Warn("the control plane does not want this report any more; the work was cancelled or given to somebody else")
	default:
		log.Error("the control plane refuses this report")
	}
}

// insist repeats a call until it is decided, or ctx ends.
func (a *Agent) insist(ctx context.Context, call func(context.Context) error) verdict {
	failing := newBackoff()
	for {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		err := call(attempt)
		cancel()
		v, wait := judge(err), max(failing.next(), askedToWait(err))
		switch v {
		case temporary:
		case unauthenticated:
			wait = around(backoffSlow)
		default:
			return v
		}
		if !sleep(ctx, wait) {
			return v
		}
	}
}

// privateKey finds private keys in PEM, also where the end is cut off.
var privateKey = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`)

const removed = "[private key removed]"

// withoutKey removes a private key that a command has printed, whole or in
// part.
func withoutKey(text string, keyPEM []byte) string {
	text = privateKey.ReplaceAllString(text, removed)
	for line := range strings.Lines(string(keyPEM)) {
		line = strings.TrimSpace(line)
		if len(line) >= 16 && !strings.HasPrefix(line, "-----") {
			text = strings.ReplaceAll(text, line, removed)
		}
	}
	return text
}

func bounded(r api.Report) api.Report {
	r.Error, r.Output = clip(r.Error, maxError), clip(r.Output, maxOutput)
	if len(r.Observed) > maxObserved {
		r.Observed = r.Observed[:maxObserved]
	}
	return r
}

// clip bounds a text to n bytes of valid UTF-8 without NULs, which a database
// would refuse.
func clip(text string, n int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= n {
		return text
	}
	const mark = " …"
	return strings.ToValidUTF8(text[:n-len(mark)], "") + mark
}

func observations(seen []target.Observation) []api.Observation {
	out := make([]api.Observation, 0, len(seen))
	for _, o := range seen {
		o := api.Observation(o)
		o.Subject, o.Issuer, o.Problem = clip(o.Subject, 1024), clip(o.Issuer, 1024), clip(o.Problem, 1024)
		out = append(out, o)
	}
	return out
}

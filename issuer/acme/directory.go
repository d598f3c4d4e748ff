package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/certctl/certctl/issuer"
)

// directory is the CA's, and when it was read.
type directory struct {
	acme.Directory
	read time.Time
}

// fresh is how long a directory is relied upon.
const fresh = time.Hour

// dir reads the directory (RFC 8555 section 7.1.1), or returns the one that was
// read within the last hour.
func (ca *CA) dir(ctx context.Context) (*directory, error) {
	ca.dirMu.Lock()
	defer ca.dirMu.Unlock()
	if ca.directory != nil && ca.now().Sub(ca.directory.read) < fresh {
		return ca.directory, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ca.config.DirectoryURL, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "certctl")
	answer, err := issuer.Do(ca.http, req, nil, ca.now())
	if err != nil {
		return nil, harmless(err)
	}
	d := &directory{read: ca.now()}
	if err := json.Unmarshal(answer.Body, &d.Directory); err != nil || d.NewOrder == "" || d.NewNonce == "" || d.NewAccount == "" {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("%s is not the directory of an ACME server; look at directory_url", ca.config.DirectoryURL)}
	}
	ca.directory = d
	return d, nil
}

// harmless makes of a failure of a call that changes nothing one that says so.
func harmless(err error) error {
	var e *issuer.Error
	if errors.As(err, &e) && errors.Is(e.Kind, issuer.ErrUnknown) {
		return &issuer.Error{Kind: issuer.ErrNotDone, After: e.After, Err: e.Err}
	}
	var p *patience
	if errors.As(err, &p) && e != nil {
		return &issuer.Error{Kind: issuer.ErrNotDone, After: p.after, Err: e.Err}
	}
	return err
}

// offers refuses a profile that the CA does not have.
func (d *directory) offers(profile string) error {
	if profile == "" {
		return nil
	}
	var names []string
	if d.Meta != nil {
		if _, ok := d.Meta.Profiles[profile]; ok {
			return nil
		}
		names = slices.Sorted(maps.Keys(d.Meta.Profiles))
	}
	if len(names) == 0 {
		return &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("the CA has no profiles; leave profile empty in place of %q", profile)}
	}
	return &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("the CA has no profile %q, but %s", profile, strings.Join(names, ", "))}
}

// known is the transport of the ACME client. It answers for the directory, which
// the client would keep for all of the process for half a day; and it leaves out
// where renewal information is, which the client would ask for at each download
// of a chain, more often than RFC 9773 section 4.3.2 lets anybody.
type known struct {
	ca    *CA
	under http.RoundTripper
}

// RoundTrip sends every other request.
func (k *known) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.URL.String() != k.ca.config.DirectoryURL {
		return k.under.RoundTrip(r)
	}
	d, err := k.ca.dir(r.Context())
	if err != nil {
		return nil, err
	}
	shown := d.Directory
	shown.RenewalInfo = ""
	text, err := json.Marshal(shown)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)),
		ContentLength: int64(len(text)), Request: r,
	}, nil
}

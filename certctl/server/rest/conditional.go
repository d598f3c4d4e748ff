package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// etag is the strong entity tag of a revision.
func etag(revision int64) string { return strconv.Quote(strconv.FormatInt(revision, 10)) }

// etagWith is the tag of a representation that shows more than its row, such as
// a certificate's targets: they change without a new revision.
func etagWith(revision int64, more []string) string {
	if len(more) == 0 {
		return etag(revision)
	}
	sum := sha256.Sum256([]byte(strings.Join(more, ",")))
	return `"` + strconv.FormatInt(revision, 10) + "-" + hex.EncodeToString(sum[:6]) + `"`
}

// revision reads an If-Match header; 0 asks for nothing. A tag that is not of
// our making, a weak one among them, matches nothing (RFC 9110 section 13.1.1).
func revision(m input.Matching) (int64, error) {
	v := strings.TrimSpace(m.IfMatch)
	if v == "" || v == "*" {
		return 0, nil
	}
	if strings.Contains(v, ",") {
		return 0, invalid("If-Match", "must be one ETag")
	}
	number, more, _ := strings.Cut(strings.Trim(v, `"`), "-")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || (v != etag(n) && v != `"`+number+"-"+more+`"`) {
		return 0, problem(http.StatusPreconditionFailed, api.CodePrecondition, "If-Match is not the ETag of any revision; read the resource again and repeat the change")
	}
	return n, nil
}

// conditional answers 304 to a read whose If-None-Match still holds (RFC 9110
// section 13.1.2).
func (s *service) conditional(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	known := r.Header.Get("If-None-Match")
	if known == "" || r.Method != http.MethodGet {
		next(ctx)
		return
	}
	next(humago.NewContext(ctx.Operation(), r, &unlessKnown{ResponseWriter: w, known: known}))
}

// unlessKnown turns a 200 whose ETag the reader knows into a 304.
type unlessKnown struct {
	http.ResponseWriter
	known string
	drop  bool
}

func (u *unlessKnown) WriteHeader(status int) {
	tag := u.Header().Get("ETag")
	if status == http.StatusOK && tag != "" && contains(u.known, tag) {
		u.drop = true
		u.Header().Del("Content-Type")
		status = http.StatusNotModified
	}
	u.ResponseWriter.WriteHeader(status)
}

func (u *unlessKnown) Write(b []byte) (int, error) {
	if u.drop {
		return len(b), nil
	}
	return u.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (u *unlessKnown) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// contains compares weakly, as If-None-Match wants it.
func contains(list, tag string) bool {
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

package rest

import (
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// route serves what the mux knows, and answers the rest with problems instead
// of the mux's plain text.
func route(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		refusal := &discard{header: http.Header{}}
		handler.ServeHTTP(refusal, r)
		if refusal.status == http.StatusMethodNotAllowed {
			write(w, r, problem(http.StatusMethodNotAllowed, api.CodeMethodNotAllowed, "this path does not know the method "+clip(r.Method, 32)).
				with("Allow", refusal.header.Get("Allow")))
			return
		}
		write(w, r, problem(http.StatusNotFound, api.CodeNotFound, "there is nothing at this path; GET /openapi.yaml tells what there is"))
	})
}

// discard hears what the mux would have answered.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header { return d.header }

func (d *discard) WriteHeader(status int) {
	if d.status == 0 {
		d.status = status
	}
}

func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

package rest

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/certctl/certctl/certctl/api"
)

// headers sets what every answer carries.
func (s *service) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

func allowedOrigins(list []string) (map[string]bool, error) {
	origins := make(map[string]bool, len(list))
	for _, o := range list {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.Path != "" || u.RawQuery != "" || u.User != nil {
			return nil, fmt.Errorf("rest: CORS origin %q is no origin like https://ui.example.com (a wildcard is not supported)", o)
		}
		origins[u.Scheme+"://"+u.Host] = true
	}
	return origins, nil
}

// cors lets pages of the listed origins read answers. Without a list nothing
// is said about origins, and browsers refuse.
func (s *service) cors(next http.Handler) http.Handler {
	if len(s.origins) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
		if !s.origins[origin] {
			if preflight {
				write(w, r, problem(http.StatusForbidden, api.CodeForbidden, "this origin is not on the server's list"))
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "ETag, Idempotency-Replayed, Link, Location, Retry-After, X-Request-ID")
		if preflight {
			h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match")
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameHost refuses names that are not this machine's while nobody has to
// authenticate: a page whose name was made to resolve to 127.0.0.1 (DNS
// rebinding) would be an administrator.
func (s *service) sameHost(next http.Handler) http.Handler {
	if s.authType != AuthNone {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		ip, err := netip.ParseAddr(host)
		if host != "localhost" && (err != nil || !ip.IsLoopback()) {
			write(w, r, problem(http.StatusForbidden, api.CodeForbidden, "without authentication this server answers under localhost and loopback addresses alone"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

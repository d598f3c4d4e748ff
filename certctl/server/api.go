package server

import (
	"net/http"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/server/rest"
)

// apiHandler serves the control plane. done ends its long polls.
func (s *Server) apiHandler(done <-chan struct{}) (http.Handler, error) {
	return rest.New(rest.Options{
		Engine: s.engine, Now: s.o.Now, Logger: s.log, AuthType: s.o.AuthType, MaxBody: s.o.MaxBody, CORSOrigins: s.o.CORSOrigins,
		RateLimit: rest.RateLimit(s.o.RateLimit), Version: api.Version(s.o.Version), Done: done,
	})
}

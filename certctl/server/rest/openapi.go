package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/certctl/certctl/certctl/api"
	"github.com/danielgtaylor/huma/v2"
)

// apiVersion is the version of the API that the documents describe.
const apiVersion = "1.0.0"

// Documents returns the OpenAPI documents by their paths: /openapi.yaml and
// /openapi.json in version 3.1, /openapi-3.0.yaml for tools that need 3.0.
func Documents() (map[string][]byte, error) {
	s, err := newService(Options{Now: nil})
	if err != nil {
		return nil, err
	}
	if err := s.mount(http.NewServeMux()); err != nil {
		return nil, err
	}
	return s.docs, nil
}

func (s *service) config() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[api.Problem]())
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "certctl", Version: apiVersion,
				Description: "Certificate lifecycle management. Every operation but those marked public needs a key as bearer token; x-certctl-role names the least role.",
				License:     &huma.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"},
			},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key":       {Type: "http", Scheme: "bearer", Description: "An API key, or an agent's credential"},
					"joinToken": {Type: "http", Scheme: "bearer", Description: "A join token, for one agent and once"},
				},
			},
			Security: []map[string][]string{{"key": {}}},
			Tags:     tags(),
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{s.transform},
	}
}

func tags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "certificates"}, {Name: "jobs"}, {Name: "agents"}, {Name: "agent protocol", Description: "What agents call with their own credential"},
		{Name: "issuers"}, {Name: "targets"}, {Name: "profiles"}, {Name: "renewal policies"}, {Name: "owners"}, {Name: "teams"},
		{Name: "API keys"}, {Name: "audit"}, {Name: "system"},
	}
}

// documents writes the documents down and serves them.
func (s *service) documents(mux *http.ServeMux) error {
	doc := s.api.OpenAPI()
	yaml, err := doc.YAML()
	if err != nil {
		return fmt.Errorf("rest: OpenAPI document: %w", err)
	}
	old, err := doc.DowngradeYAML()
	if err != nil {
		return fmt.Errorf("rest: OpenAPI 3.0 document: %w", err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("rest: OpenAPI document: %w", err)
	}
	s.docs = map[string][]byte{"/openapi.yaml": yaml, "/openapi-3.0.yaml": old, "/openapi.json": text}
	for path, content := range s.docs {
		kind := "application/openapi+yaml"
		if path == "/openapi.json" {
			kind = "application/openapi+json"
		}
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if !s.allowAddress(w, r) {
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(content) // a reader that is gone
		})
	}
	return nil
}

package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
)

func (s *service) apiKeys() {
	const path, tag = v1 + "/api-keys", "API keys"
	add(s, operation{id: "listAPIKeys", method: http.MethodGet, path: path, tag: tag, summary: "List API keys", access: admin}, s.listAPIKeys)
	add(s, operation{id: "getAPIKey", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Read an API key, without its secret", access: admin}, s.getAPIKey)
	add(s, operation{id: "createAPIKey", method: http.MethodPost, path: path, tag: tag, summary: "Create an API key; its secret is shown this once", access: admin, status: http.StatusCreated, keyed: true, secret: true}, s.createAPIKey)
	add(s, operation{id: "rotateAPIKey", method: http.MethodPost, path: path + "/{id}/rotate", tag: tag, summary: "Give a key a new secret, shown this once", access: admin, keyed: true, secret: true}, s.rotateAPIKey)
	add(s, operation{id: "revokeAPIKey", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "Revoke an API key at once", access: admin}, s.revokeAPIKey)
}

func keyLookup(r certctl.Reader) certctl.Lookup[certctl.APIKey, certctl.APIKeyFilter] {
	return r.APIKeys()
}

func (s *service) listAPIKeys(ctx context.Context, in *struct{ api.APIKeyQuery }) (*page[api.APIKey], error) {
	return listing[certctl.APIKey, certctl.APIKeyFilter, api.APIKey]{
		filter: certctl.APIKeyFilter{Names: in.Name, Roles: in.Role, Revoked: tri(in.Revoked)}, lookup: keyLookup, wire: wireAPIKey,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) getAPIKey(ctx context.Context, in *oneByID) (*single[api.APIKey], error) {
	k, err := get(ctx, s, in.ID, keyLookup, wireAPIKey)
	if err != nil {
		return nil, err
	}
	return &single[api.APIKey]{ETag: etag(k.Revision), Body: *k}, nil
}

func (s *service) createAPIKey(ctx context.Context, in *creating[api.APIKeyCreate]) (*created[api.APIKeySecret], error) {
	b := in.Body
	key, row, err := s.engine.CreateAPIKey(ctx, engine.APIKeyInput{Name: b.Name, Role: certctl.Role(b.Role), TTL: duration(b.TTLSeconds)})
	if err != nil {
		return nil, err
	}
	return secretOf(key, row), nil
}

func (s *service) rotateAPIKey(ctx context.Context, in *struct {
	input.ByID
	Body *api.APIKeyRotate
}) (*created[api.APIKeySecret], error) {
	var overlap int64
	if in.Body != nil {
		overlap = in.Body.OverlapSeconds
	}
	key, row, err := s.engine.RotateAPIKey(ctx, in.ID, duration(overlap))
	if err != nil {
		return nil, err
	}
	return secretOf(key, row), nil
}

func secretOf(key string, row *certctl.APIKey) *created[api.APIKeySecret] {
	return &created[api.APIKeySecret]{
		ETag: etag(row.Revision), Location: v1 + "/api-keys/" + row.ID, Body: api.APIKeySecret{APIKey: wireAPIKey(row), Key: key},
	}
}

func (s *service) revokeAPIKey(ctx context.Context, in *input.ByID) (*nothing, error) {
	return nil, s.engine.RevokeAPIKey(ctx, in.ID)
}

package rest

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
	"github.com/danielgtaylor/huma/v2"
)

// access is the least that a caller must be.
type access string

const (
	public   access = "public"
	joining  access = "join token" // checked by the use case
	anyone   access = "any"        // with a valid key
	viewer   access = access(certctl.RoleViewer)
	operator access = access(certctl.RoleOperator)
	admin    access = access(certctl.RoleAdmin)
	itself   access = access(certctl.RoleAgent) // the agent that the path names
)

// operation describes an entry of the API. Access is required.
type operation struct {
	id, method, path, tag, summary string

	access    access
	status    int                       // of success; 200, or 204 without a body, when 0
	keyed     bool                      // takes an Idempotency-Key
	secret    bool                      // its answer is shown once and never kept
	timeout   time.Duration             // 60 s when 0
	responses map[string]*huma.Response // documented beside the default
}

const metadataKey = "certctl"

// entry returns the description with which an operation was registered.
func entry(op *huma.Operation) operation {
	o, _ := op.Metadata[metadataKey].(operation)
	return o
}

// add registers an operation. Its handler returns domain errors; they are
// translated here.
func add[I, O any](s *service, o operation, handle func(context.Context, *I) (*O, error)) {
	if o.access == "" {
		panic("rest: operation " + o.id + " does not say who may call it")
	}
	if o.timeout == 0 {
		o.timeout = time.Minute
	}
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary, DefaultStatus: o.status,
		MaxBodyBytes: s.maxBody + 1, Metadata: map[string]any{metadataKey: o}, Responses: o.responses,
		Extensions: map[string]any{"x-certctl-role": string(o.access)},
	}
	switch o.access {
	case public:
		op.Security = []map[string][]string{}
	case joining:
		op.Security = []map[string][]string{{"joinToken": {}}}
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = s.problemResponse()
	if o.keyed {
		op.Parameters = append(op.Parameters, idempotencyParameter(o.secret))
	}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, o.timeout)
		defer cancel()
		out, err := handle(ctx, in)
		if err != nil {
			f := translate(err)
			if f.problem.Status >= http.StatusInternalServerError {
				exchangeOf(ctx).cause = err
			}
			return nil, f
		}
		return out, nil
	})
}

func (s *service) problemResponse() *huma.Response {
	return &huma.Response{Description: "An error (RFC 9457)", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Problem](), true, "Problem")},
	}}
}

func idempotencyParameter(secret bool) *huma.Param {
	doc := "Names the request, so that it takes effect once: the same key and request again get the first answer"
	if secret {
		doc += ", here as 409, for the secret is not kept"
	}
	least, most := 1, 255
	return &huma.Param{Name: "Idempotency-Key", In: "header", Description: doc, Schema: &huma.Schema{
		Type: huma.TypeString, MinLength: &least, MaxLength: &most, Pattern: "^[!-~]+$",
	}}
}

// Inputs and outputs that many operations share.
type (
	oneByID struct {
		input.ByID
		input.Reading
	}
	changeByID[B any] struct {
		input.ByID
		input.Matching
		Body B
	}
	deleteByID struct {
		input.ByID
		input.Matching
	}
	creating[B any] struct{ Body B }
	nothing         struct{}

	plain[T any]  struct{ Body T }
	single[T any] struct {
		ETag string `header:"ETag"`
		Body T
	}
	created[T any] struct {
		ETag     string `header:"ETag"`
		Location string `header:"Location"`
		Body     T
	}
	accepted[T any] struct {
		Location string `header:"Location" doc:"Of the job"`
		Body     T
	}
	page[T any] struct {
		Link string `header:"Link" doc:"rel=next (RFC 8288)"`
		Body api.List[T]
	}
)

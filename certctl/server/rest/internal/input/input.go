// Package input holds the parts of requests that operations embed. Their names
// are exported because huma looks into embedded fields only then.
package input

// ByID names a resource.
type ByID struct {
	ID string `path:"id" maxLength:"128" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$"`
}

// Matching makes a change conditional.
type Matching struct {
	IfMatch string `header:"If-Match" maxLength:"256" doc:"ETag that the resource must still have"`
}

// Reading makes a read conditional.
type Reading struct {
	IfNoneMatch string `header:"If-None-Match" doc:"Answers 304 while the resource still has this ETag"`
}

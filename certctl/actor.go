package certctl

import "context"

// ActorType says what kind of somebody acts.
type ActorType string

const (
	ActorUser   ActorType = "User"
	ActorAPIKey ActorType = "APIKey"
	ActorAgent  ActorType = "Agent"
	ActorSystem ActorType = "System"
)

// Role is what a credential may do. Admin may do everything; operator issues,
// deploys, renews and revokes; viewer reads; agent does its own agent's work.
type Role string

const (
	RoleAdmin    Role = "admin"
	RoleOperator Role = "operator"
	RoleViewer   Role = "viewer"
	RoleAgent    Role = "agent"
)

// Actor is who asks. Edges authenticate and put it into the context; the
// engine writes it into the audit trail.
type Actor struct {
	ID        string // API key ID, agent ID, or "system"
	Name      string
	Type      ActorType
	Role      Role
	AgentID   string // set for agents
	RequestID string // correlates the audit trail with logs
}

type actorKey struct{}

// WithActor returns a context that carries the actor.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the actor of a context, or the system itself.
func ActorFrom(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{ID: "system", Name: "system", Type: ActorSystem, Role: RoleAdmin}
}

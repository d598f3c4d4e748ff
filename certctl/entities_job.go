package certctl

import "time"

// ExecutorServer is the executor of jobs that any server replica may run;
// otherwise the executor is an agent ID, or empty while nobody can act.
const ExecutorServer = "server"

// Job is one piece of work, done in steps of one stored transition each.
type Job struct {
	ID            string    `bun:"id,pk"`
	Type          JobType   `bun:"type"`
	Status        JobStatus `bun:"status"`
	CertificateID string    `bun:"certificate_id"`
	Generation    int64     `bun:"generation"` // the generation that it issues or deploys
	TargetID      string    `bun:"target_id,nullzero"`
	BindingID     string    `bun:"binding_id,nullzero"`
	AgentID       string    `bun:"agent_id,nullzero"`
	OrderID       string    `bun:"order_id,nullzero"`
	CSRPEM        string    `bun:"csr_pem"`
	Force         bool      `bun:"force"`

	Executor    string    `bun:"executor"` // who may claim it now
	Worker      string    `bun:"worker"`   // who holds the lease
	Fence       int64     `bun:"fence"`    // rises with every claim; writes carry it
	LeaseUntil  time.Time `bun:"lease_until,nullzero"`
	RunAt       time.Time `bun:"run_at"`   // not before
	Deadline    time.Time `bun:"deadline"` // Failed when still live then
	Attempts    int       `bun:"attempts"`
	MaxAttempts int       `bun:"max_attempts"`

	LastError    string             `bun:"last_error"` // for people
	Waiting      string             `bun:"waiting"`    // what a waiting job waits for
	Output       string             `bun:"output"`     // of commands, bounded, secrets masked
	Verification VerificationStatus `bun:"verification_status"`
	Observed     []Observation      `bun:"observed,type:jsonb"`
	VerifiedAt   time.Time          `bun:"verified_at,nullzero"`

	RequestedBy string    `bun:"requested_by"`
	StartedAt   time.Time `bun:"started_at,nullzero"`
	CompletedAt time.Time `bun:"completed_at,nullzero"`
	Meta
}

// Become moves the job to another status and drops the lease unless it goes on
// running.
func (j *Job) Become(to JobStatus) error {
	if j.Status == to {
		return nil
	}
	if !j.Status.CanBecome(to) {
		return &TransitionError{"job", j.ID, string(j.Status), string(to)}
	}
	j.Status = to
	if to != JobRunning {
		j.Worker, j.LeaseUntil = "", time.Time{}
	}
	if !to.Live() {
		j.Executor = ""
	}
	return nil
}

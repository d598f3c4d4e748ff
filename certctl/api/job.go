package api

import "time"

// Job is one piece of work.
type Job struct {
	ID                 string        `json:"id"`
	Type               string        `json:"type" enum:"Issuance,Renewal,Deployment,Validation"`
	Status             string        `json:"status" enum:"Pending,AwaitingCSR,AwaitingApproval,Running,Completed,Failed,Cancelled"`
	CertificateID      string        `json:"certificate_id"`
	Generation         int64         `json:"generation" doc:"Of the version that it issues or deploys"`
	TargetID           string        `json:"target_id,omitempty"`
	AgentID            string        `json:"agent_id,omitempty"`
	Attempts           int           `json:"attempts"`
	MaxAttempts        int           `json:"max_attempts"`
	LastError          string        `json:"last_error,omitempty"`
	Waiting            string        `json:"waiting,omitempty" doc:"What a waiting job waits for"`
	Output             string        `json:"output,omitempty" doc:"Of commands, masked and bounded"`
	VerificationStatus string        `json:"verification_status,omitempty"`
	Observed           []Observation `json:"observed,omitempty"`
	VerifiedAt         time.Time     `json:"verified_at,omitzero"`
	RequestedBy        string        `json:"requested_by,omitempty"`
	ScheduledAt        time.Time     `json:"scheduled_at,omitzero" doc:"Not before"`
	Deadline           time.Time     `json:"deadline,omitzero" doc:"Failed when it is still live then"`
	StartedAt          time.Time     `json:"started_at,omitzero"`
	CompletedAt        time.Time     `json:"completed_at,omitzero"`
	Meta
}

// Live reports whether the job can still do something.
func (j *Job) Live() bool {
	switch j.Status {
	case "Completed", "Failed", "Cancelled":
		return false
	}
	return true
}

// JobQuery filters a list of jobs.
type JobQuery struct {
	Status        []string  `query:"status" enum:"Pending,AwaitingCSR,AwaitingApproval,Running,Completed,Failed,Cancelled"`
	Type          []string  `query:"type" enum:"Issuance,Renewal,Deployment,Validation"`
	CertificateID []string  `query:"certificate_id"`
	TargetID      []string  `query:"target_id"`
	AgentID       []string  `query:"agent_id"`
	CreatedAfter  time.Time `query:"created_after"`
	ListOptions
}

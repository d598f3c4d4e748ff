package certctl

import "slices"

// CertificateStatus is the state of a managed certificate.
type CertificateStatus string

const (
	CertificatePending           CertificateStatus = "Pending"           // created, never issued
	CertificateActive            CertificateStatus = "Active"            // issued and valid
	CertificateExpiring          CertificateStatus = "Expiring"          // valid, past its renewal time
	CertificateExpired           CertificateStatus = "Expired"           // past NotAfter
	CertificateRenewalInProgress CertificateStatus = "RenewalInProgress" // a renewal job is live
	CertificateFailed            CertificateStatus = "Failed"            // the first issuance failed; nothing was ever issued
	CertificateRevoked           CertificateStatus = "Revoked"
	CertificateArchived          CertificateStatus = "Archived" // kept for the record; never renewed
)

// CertificateStatuses lists them all, in the order of a life.
var CertificateStatuses = []CertificateStatus{
	CertificatePending, CertificateActive, CertificateExpiring, CertificateExpired,
	CertificateRenewalInProgress, CertificateFailed, CertificateRevoked, CertificateArchived,
}

var certificateSteps = map[CertificateStatus][]CertificateStatus{
	CertificatePending:           {CertificateActive, CertificateExpiring, CertificateFailed, CertificateArchived},
	CertificateFailed:            {CertificatePending, CertificateArchived},
	CertificateActive:            {CertificateExpiring, CertificateExpired, CertificateRenewalInProgress, CertificateRevoked, CertificateArchived},
	CertificateExpiring:          {CertificateActive, CertificateExpired, CertificateRenewalInProgress, CertificateRevoked, CertificateArchived},
	CertificateExpired:           {CertificateRenewalInProgress, CertificateRevoked, CertificateArchived},
	CertificateRenewalInProgress: {CertificateActive, CertificateExpiring, CertificateExpired, CertificateRevoked, CertificateArchived},
	CertificateRevoked:           {CertificateArchived}, // and out of a hold by Certificate.Release
	CertificateArchived:          {},
}

// CanBecome reports whether the step is legal. Staying is not a step.
func (s CertificateStatus) CanBecome(to CertificateStatus) bool {
	return slices.Contains(certificateSteps[s], to)
}

// JobType is what a job does.
type JobType string

const (
	JobIssuance   JobType = "Issuance"
	JobRenewal    JobType = "Renewal"
	JobDeployment JobType = "Deployment"
	JobValidation JobType = "Validation" // probes what is served, changes nothing
)

// JobTypes lists them all.
var JobTypes = []JobType{JobIssuance, JobRenewal, JobDeployment, JobValidation}

// JobStatus is the state of a job.
type JobStatus string

const (
	JobPending          JobStatus = "Pending"          // runnable from RunAt on
	JobAwaitingCSR      JobStatus = "AwaitingCSR"      // the agent's turn: key and CSR
	JobAwaitingApproval JobStatus = "AwaitingApproval" // a person's turn
	JobRunning          JobStatus = "Running"          // leased by a worker
	JobCompleted        JobStatus = "Completed"
	JobFailed           JobStatus = "Failed"
	JobCancelled        JobStatus = "Cancelled"
)

// JobStatuses lists them all.
var JobStatuses = []JobStatus{
	JobPending, JobAwaitingCSR, JobAwaitingApproval, JobRunning, JobCompleted, JobFailed, JobCancelled,
}

var jobSteps = map[JobStatus][]JobStatus{
	JobPending:          {JobRunning, JobAwaitingCSR, JobFailed, JobCancelled},
	JobAwaitingCSR:      {JobPending, JobFailed, JobCancelled},
	JobAwaitingApproval: {JobPending, JobAwaitingCSR, JobFailed, JobCancelled},
	JobRunning:          {JobPending, JobAwaitingCSR, JobCompleted, JobFailed, JobCancelled},
	JobCompleted:        {},
	JobFailed:           {},
	JobCancelled:        {},
}

// CanBecome reports whether the step is legal. Staying is not a step.
func (s JobStatus) CanBecome(to JobStatus) bool { return slices.Contains(jobSteps[s], to) }

// Live reports whether a job in this state can still do something.
func (s JobStatus) Live() bool { return len(jobSteps[s]) > 0 }

// LiveJobStatuses are the states in which a job can still do something.
var LiveJobStatuses = []JobStatus{JobPending, JobAwaitingCSR, JobAwaitingApproval, JobRunning}

// OrderState is the state of an order with a CA.
type OrderState string

const (
	OrderOpen      OrderState = "Open"      // committed before any CA acts
	OrderIssued    OrderState = "Issued"    // the version is stored
	OrderAbandoned OrderState = "Abandoned" // refused or cancelled; its serial, if reserved, is never used again
)

var orderSteps = map[OrderState][]OrderState{OrderOpen: {OrderIssued, OrderAbandoned}}

// CanBecome reports whether the step is legal.
func (s OrderState) CanBecome(to OrderState) bool { return slices.Contains(orderSteps[s], to) }

// AgentStatus is what the server believes of an agent.
type AgentStatus string

const (
	AgentOnline   AgentStatus = "Online"
	AgentOffline  AgentStatus = "Offline"
	AgentDegraded AgentStatus = "Degraded" // heard of, but it reports a problem (clock skew, full disk)
	AgentRetired  AgentStatus = "Retired"  // its credential no longer works
)

// VerificationStatus is the outcome of looking at what is served.
type VerificationStatus string

const (
	VerificationPending VerificationStatus = "pending"
	VerificationSuccess VerificationStatus = "success"
	VerificationFailed  VerificationStatus = "failed"
	VerificationSkipped VerificationStatus = "skipped" // the target has no endpoint to look at
)

// BindingState is whether a target has the certificate that it should have.
type BindingState string

const (
	BindingPending        BindingState = "Pending"        // nothing deployed yet
	BindingInSync         BindingState = "InSync"         // the current version is deployed and verified
	BindingOutOfSync      BindingState = "OutOfSync"      // an older version is deployed
	BindingFailed         BindingState = "Failed"         // the last deployment failed and was rolled back
	BindingRollbackFailed BindingState = "RollbackFailed" // it failed, and so did the rollback: a person must look
)

// TestStatus is the outcome of the last connection test of an issuer or target.
type TestStatus string

const (
	TestUntested TestStatus = "untested"
	TestSuccess  TestStatus = "success"
	TestFailed   TestStatus = "failed"
)

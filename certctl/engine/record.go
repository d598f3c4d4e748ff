package engine

import (
	"context"

	"github.com/certctl/certctl/certctl"
)

// details of an audit entry.
type details = map[string]any

func audit(ctx context.Context, tx certctl.Tx, action, kind, id string, d details) error {
	return tx.Append(ctx, &certctl.AuditEntry{Action: action, ResourceType: kind, ResourceID: id, Details: d})
}

// saveCertificate writes a certificate whose status was from.
func saveCertificate(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, from certctl.CertificateStatus) error {
	if err := tx.Certificates().Update(ctx, c); err != nil {
		return err
	}
	if c.Status == from {
		return nil
	}
	tx.Nudge(certctl.TopicCatalog, certctl.TopicEvents)
	return tx.Emit(ctx, certctl.CertificateChanged{CertificateID: c.ID, From: from, To: c.Status, Reason: c.StatusReason})
}

// endJob moves a job to a final state and tells the world.
func endJob(ctx context.Context, tx certctl.Tx, j *certctl.Job, to certctl.JobStatus, why string) error {
	if err := j.Become(to); err != nil {
		return err
	}
	j.LastError, j.Waiting, j.CompletedAt = why, "", tx.Now()
	if err := tx.Jobs().Update(ctx, j); err != nil {
		return err
	}
	d := details{"type": j.Type, "certificate_id": j.CertificateID, "generation": j.Generation}
	if j.TargetID != "" {
		d["target_id"] = j.TargetID
	}
	action := map[certctl.JobStatus]string{
		certctl.JobCompleted: "job_completed", certctl.JobFailed: "job_failed", certctl.JobCancelled: "job_cancelled",
	}[to]
	if why != "" {
		d["reason"] = why
	}
	if err := audit(ctx, tx, action, "job", j.ID, d); err != nil {
		return err
	}
	tx.Nudge(certctl.TopicCatalog, certctl.TopicEvents)
	return tx.Emit(ctx, certctl.JobFinished{JobID: j.ID, Type: j.Type, CertificateID: j.CertificateID, Status: to, Error: why})
}

// all reads every row of a filter that is known to match few.
func all[T, F any](ctx context.Context, l certctl.Lookup[T, F], f F) ([]*T, error) {
	var rows []*T
	page := certctl.Page{Limit: 500}
	for {
		r, err := l.List(ctx, f, page)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r.Items...)
		if r.Next == "" {
			return rows, nil
		}
		page.Cursor = r.Next
	}
}

// first returns the first row of a filter, or nil.
func first[T, F any](ctx context.Context, l certctl.Lookup[T, F], f F) (*T, error) {
	r, err := l.List(ctx, f, certctl.Page{Limit: 1})
	if err != nil || len(r.Items) == 0 {
		return nil, err
	}
	return r.Items[0], nil
}

// checkMatch compares an If-Match revision; 0 asks for nothing.
func checkMatch(what, id string, have, want int64) error {
	if want != 0 && have != want {
		return certctl.Errorf(certctl.ErrPrecondition,
			"%s %s has changed since you read it (revision %d, you have %d); read it again and repeat the change", what, id, have, want)
	}
	return nil
}

// orGone turns a missing reference in an input into a problem of that field.
func orProblem(err error, field, message string, into *[]certctl.Problem) error {
	if err == nil {
		return nil
	}
	if isNotFound(err) {
		*into = append(*into, certctl.Problem{Field: field, Message: message})
		return nil
	}
	return err
}

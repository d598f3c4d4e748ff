package store

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
)

var jobs = &entity[certctl.Job, certctl.JobFilter]{
	name: "job", alias: "job", pk: "id",
	id: func(j *certctl.Job) string { return j.ID }, meta: func(j *certctl.Job) *certctl.Meta { return &j.Meta },
	sorts: []sortBy[certctl.Job]{
		byTime("job.created_at", func(j *certctl.Job) time.Time { return j.CreatedAt }, "createdAt", "created_at"),
		byTime("job.updated_at", func(j *certctl.Job) time.Time { return j.UpdatedAt }, "updatedAt", "updated_at"),
		byText("job.status", func(j *certctl.Job) string { return string(j.Status) }, "status"),
		byText("job.type", func(j *certctl.Job) string { return string(j.Type) }, "type"),
	},
	where: func(q query, f certctl.JobFilter) query {
		q = anyOf(anyOf(q, "job.type", f.Types), "job.status", f.Statuses)
		q = anyOf(anyOf(q, "job.certificate_id", f.CertificateIDs), "job.target_id", f.TargetIDs)
		q = anyOf(q, "job.agent_id", f.AgentIDs)
		if f.Generation != 0 {
			q = q.Where("job.generation = ?", f.Generation)
		}
		return since(before(q, "job.deadline", f.DeadlineBefore), "job.created_at", f.CreatedAfter)
	},
}

type jobRepo struct {
	repo[certctl.Job, certctl.JobFilter]
}

// Claim takes and marks the jobs in one statement. On Postgres, rows that
// another replica is claiming at this moment are skipped; on SQLite there is
// one writer.
func (r jobRepo) Claim(ctx context.Context, executor, worker string, n int, lease time.Duration) ([]*certctl.Job, error) {
	now := r.tx.now
	lock := ""
	if r.tx.s.postgres {
		lock = " FOR UPDATE SKIP LOCKED"
	}
	rows := []*certctl.Job{}
	err := r.tx.db.NewRaw(`UPDATE jobs SET
		status = CASE WHEN status = 'Pending' THEN 'Running' ELSE status END,
		attempts = attempts + CASE WHEN worker <> '' THEN 1 ELSE 0 END,
		worker = ?, lease_until = ?, fence = fence + 1, started_at = COALESCE(started_at, ?), updated_at = ?, revision = revision + 1
		WHERE id IN (SELECT id FROM jobs WHERE executor = ? AND executor <> '' AND status IN ('Pending', 'AwaitingCSR', 'Running')
			AND run_at <= ? AND (lease_until IS NULL OR lease_until <= ?) ORDER BY run_at, id LIMIT ?`+lock+`) RETURNING *`,
		worker, now.Add(lease), now, now, executor, now, now, n).Scan(ctx, &rows)
	if err = translate(err, "job", opWrite); err != nil && !isNotFound(err) {
		return nil, err
	}
	for _, j := range rows {
		normalise(j)
	}
	return rows, nil
}

// Release implements certctl.JobRepo. The fence rises, so that a worker that was
// wrongly believed dead can write nothing.
func (r jobRepo) Release(ctx context.Context, executor, worker string) (int64, error) {
	q := r.tx.db.NewUpdate().Model((*certctl.Job)(nil)).
		Set("worker = '', lease_until = NULL, fence = fence + 1, revision = revision + 1, updated_at = ?", r.tx.now).
		Where("executor = ? AND worker <> '' AND status IN ('Pending', 'AwaitingCSR', 'Running')", executor)
	if worker != "" {
		q = q.Where("worker = ?", worker)
	}
	n, err := affected(q.Exec(ctx))
	return n, translate(err, "job", opWrite)
}

// Hold implements certctl.JobRepo. The revision that it reads makes a write
// that follows fail, and run again into ErrFenced, when somebody takes the job
// in between.
func (r jobRepo) Hold(ctx context.Context, id string, fence int64) (*certctl.Job, error) {
	j, err := r.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !j.Status.Live() || j.Fence != fence || j.Worker == "" {
		return nil, certctl.Errorf(certctl.ErrFenced, "job %s is not held by this claim any more (it is %s)", id, j.Status)
	}
	return j, nil
}

type leaseRepo struct{ tx *tx }

// Take implements certctl.LeaseRepo.
func (r leaseRepo) Take(ctx context.Context, name, holder string, every, ttl time.Duration) (*certctl.Lease, error) {
	now := r.tx.now
	lease := &certctl.Lease{}
	if _, err := r.tx.db.NewRaw("INSERT INTO leases (name, holder, fence, last_error) VALUES (?, '', 0, '') ON CONFLICT (name) DO NOTHING", name).Exec(ctx); err != nil {
		return nil, translate(err, "lease", opWrite)
	}
	err := r.tx.db.NewRaw(`UPDATE leases SET holder = ?, fence = fence + 1, lease_until = ?, last_run = ?
		WHERE name = ? AND (lease_until IS NULL OR lease_until <= ?) AND (last_run IS NULL OR last_run <= ?) RETURNING *`,
		holder, now.Add(ttl), now, name, now, now.Add(-every)).Scan(ctx, lease)
	if err = translate(err, "lease", opWrite); isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	normalise(lease)
	return lease, nil
}

// Hold implements certctl.LeaseRepo. On Postgres the row stays locked until
// the transaction ends, so that nobody takes it in between.
func (r leaseRepo) Hold(ctx context.Context, name string, fence int64) error {
	n, err := affected(r.tx.db.NewRaw("UPDATE leases SET fence = fence WHERE name = ? AND fence = ? AND lease_until IS NOT NULL", name, fence).Exec(ctx))
	if err != nil {
		return translate(err, "lease", opWrite)
	}
	if n == 0 {
		return certctl.Errorf(certctl.ErrFenced, "the lease of loop %s was taken over", name)
	}
	return nil
}

// Release implements certctl.LeaseRepo.
func (r leaseRepo) Release(ctx context.Context, name string, fence int64, lastError string) error {
	n, err := affected(r.tx.db.NewRaw("UPDATE leases SET lease_until = NULL, last_error = ? WHERE name = ? AND fence = ?", lastError, name, fence).Exec(ctx))
	if err != nil {
		return translate(err, "lease", opWrite)
	}
	if n == 0 {
		return certctl.Errorf(certctl.ErrFenced, "the lease of loop %s was taken over", name)
	}
	return nil
}

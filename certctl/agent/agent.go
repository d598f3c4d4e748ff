package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target"
)

// Options of New. Server, Targets, Dir and Now are required.
type Options struct {
	Server  ControlPlane
	Targets *connector.Registry[target.Target] // the kinds that this agent can deploy to
	Dir     string                             // its folder; one agent, one folder
	Now     func() time.Time

	KeyDir         string        // where private keys are kept; Dir/keys when empty
	AgentID        string        // acts as this agent; the identity in Dir when empty
	Logger         *slog.Logger  // nil: discards
	HTTP           *http.Client  // for targets reached by HTTP; nil: the connectors' guarded default
	Prober         target.Prober // nil: a TLS probe
	Facts          Facts         // told to the server; what is empty is found out
	HeartbeatEvery time.Duration // 60 s when 0; the server's answer wins
	Wait           time.Duration // of a long poll for work; 30 s when 0, at most 60 s
	Parallel       int           // pieces of work at once, one a target; 4 when 0
	WorkTimeout    time.Duration // of one piece of work; 15 min when 0
	Drain          time.Duration // how long work under way may go on when Run is to end; 20 s when 0
}

func (o Options) withDefaults() (Options, error) {
	var problems []error
	for name, missing := range map[string]bool{"Server": o.Server == nil, "Targets": o.Targets == nil, "Dir": o.Dir == "", "Now": o.Now == nil} {
		if missing {
			problems = append(problems, fmt.Errorf("agent: Options.%s is required", name))
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.KeyDir == "" {
		o.KeyDir = filepath.Join(o.Dir, "keys")
	}
	for value, preset := range map[*time.Duration]time.Duration{
		&o.HeartbeatEvery: time.Minute, &o.Wait: 30 * time.Second, &o.WorkTimeout: 15 * time.Minute, &o.Drain: 20 * time.Second,
	} {
		if *value <= 0 {
			*value = preset
		}
	}
	o.Wait = min(o.Wait, time.Minute)
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	o.Parallel = min(o.Parallel, 16)
	return o, errors.Join(problems...)
}

// Agent is one agent at work. Its methods are safe for concurrent use.
type Agent struct {
	o       Options
	id      string
	log     *slog.Logger
	dir     *folder
	keys    *keyStore
	pending *folder // configuration of targets with a deployment under way
	journal target.Journal
	link    *link
	slots   chan struct{}
	targets *keyedLock
	running *running
}

// New opens the agent's folders. It contacts nobody. Without an identity in
// Dir and without AgentID it fails with ErrNotJoined.
func New(o Options) (*Agent, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &Agent{o: o, slots: make(chan struct{}, o.Parallel), targets: newKeyedLock(), running: newRunning()}
	if a.dir, err = openFolder(o.Dir); err != nil {
		return nil, err
	}
	name := ""
	if a.id = o.AgentID; a.id == "" {
		id, err := a.dir.identity()
		if err != nil {
			return nil, err
		}
		a.id, name = id.AgentID, id.Name
	}
	if err := checkID("agent", a.id); err != nil {
		return nil, err
	}
	keyFolder, err := openFolder(o.KeyDir)
	if err != nil {
		return nil, err
	}
	a.keys = &keyStore{folder: keyFolder}
	if a.pending, err = openFolder(filepath.Join(o.Dir, "targets")); err != nil {
		return nil, err
	}
	journals, err := openFolder(filepath.Join(o.Dir, "journal"))
	if err != nil {
		return nil, err
	}
	if err := journals.close(); err != nil {
		return nil, err
	}
	a.journal = target.DirJournal(journals.path)
	if a.o.Prober == nil {
		a.o.Prober = target.TLSProber{Now: o.Now}
	}
	a.log = o.Logger.With(slog.String("agent_id", a.id))
	a.link = &link{log: a.log, now: o.Now, status: Status{AgentID: a.id, Name: name}}
	return a, nil
}

// Run works until ctx ends, and then lets the work under way finish or be
// undone; that is no error. It survives an absent server. It returns
// ErrRetired when the server has retired the agent, and ErrInUse when another
// process works with the same folder.
//
// A credential that the server refuses does not end Run: it goes on trying,
// slowly, and says so in its log and in Status.
func (a *Agent) Run(ctx context.Context) error {
	unlock, err := a.dir.lock("agent.lock")
	if err != nil {
		return err
	}
	defer unlock()
	for _, f := range []*folder{a.dir, a.keys.folder, a.pending} {
		if err := f.sweep(); err != nil {
			return err
		}
	}

	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)

	var loops, work sync.WaitGroup
	loops.Go(func() { a.heartbeats(ctx, end) })
	loops.Go(func() {
		a.recoverAll(working)
		a.claims(ctx, end, func(w claimed) { work.Go(func() { a.handle(working, w) }) })
	})
	<-ctx.Done()
	retired := errors.Is(context.Cause(ctx), ErrRetired)
	timer := time.AfterFunc(a.o.Drain, func() { stop(errStopping) })
	defer timer.Stop()
	if retired {
		stop(errLost)
	}
	loops.Wait()
	work.Wait()
	if retired {
		a.log.Warn("this agent has been retired; it stops for good")
		return ErrRetired
	}
	return nil
}

// Close lets go of the agent's folders, after Run has returned.
func (a *Agent) Close() error {
	return errors.Join(a.dir.close(), a.keys.close(), a.pending.close())
}

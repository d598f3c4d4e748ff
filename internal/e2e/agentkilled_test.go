package e2e

import (
	"crypto/tls"
	mrand "math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestAnAgentKilledInTheMiddle kills the agent while it deploys to nginx, again
// and again. The site never has half a pair, and ends with the newest.
func TestAnAgentKilledInTheMiddle(t *testing.T) {
	f := newFleet(t)
	f.mustCLI("targets", "create", "--id", "tgt-web1", "--name", "nginx", "--type", "nginx", "--agent-id", f.agentID, "--config", f.config(""))
	f.mustCLI("certs", "create", "--id", "mc-www", "--san", "localhost", "--target-id", "tgt-web1", "--wait")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := mrand.New(mrand.NewPCG(seed, 1))
	for range 6 {
		var group sync.WaitGroup
		group.Go(func() { _, _ = f.cli("certs", "renew", "mc-www", "--force") }) // one of before may be under way
		pause := time.NewTimer(time.Duration(20+r.IntN(350)) * time.Millisecond)
		<-pause.C
		f.agent.kill()
		group.Wait()
		if _, err := f.nginx.Served(); err != nil {
			t.Errorf("the site does not answer: %v", err)
		}
		f.startAgent()
		until(t, "the site's pair is whole", 30*time.Second, func() bool {
			_, err := tls.LoadX509KeyPair(f.nginx.Cert, f.nginx.Key)
			return err == nil
		})
	}
	until(t, "nothing is live any more", 2*time.Minute, func() bool {
		return f.mustCLI("jobs", "list", "-o", "name", "--status", "Pending,Running,AwaitingCSR") == ""
	})
	f.mustCLI("certs", "renew", "mc-www", "--wait")
	if now := f.serial(); now != f.www().Serial {
		t.Errorf("serial %s is served instead of %s", now, f.www().Serial)
	}
}

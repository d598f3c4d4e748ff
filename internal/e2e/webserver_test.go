package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
)

// webServer is a real nginx with one TLS site.
type webServer struct {
	binary, conf, cert, key, address string
	cmd                              *exec.Cmd
	done                             chan struct{}
}

func startNginx(t *testing.T) *webServer {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n := &webServer{
		binary: peer.Need(t, "nginx"), conf: filepath.Join(dir, "nginx.conf"), cert: filepath.Join(dir, "site.pem"), key: filepath.Join(dir, "site.key"),
		address: addresses(t, 1)[0], done: make(chan struct{}),
	}
	placeholder(t, n.cert, n.key)
	n.configure(t, "")
	n.cmd = exec.Command(n.binary, "-c", n.conf, "-p", dir)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(n.done)
		_ = n.cmd.Wait() // told by done
	}()
	t.Cleanup(func() {
		_ = n.cmd.Process.Signal(syscall.SIGTERM) // a fast shutdown; it may have ended
		<-n.done
	})
	until(t, "nginx answers", 20*time.Second, func() bool {
		c, err := net.DialTimeout("tcp", n.address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return n
}

// configure writes nginx.conf; more goes into the server block.
func (n *webServer) configure(t *testing.T, more string) {
	t.Helper()
	text := fmt.Sprintf(`pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
worker_processes 1;
daemon off;
events {}
http {
  access_log off;
  server {
    listen %[2]s ssl;
    ssl_certificate %[3]s;
    ssl_certificate_key %[4]s;
    return 200 "nginx\n";
    %[5]s
  }
}
`, filepath.Dir(n.conf), n.address, n.cert, n.key, more)
	if err := os.WriteFile(n.conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

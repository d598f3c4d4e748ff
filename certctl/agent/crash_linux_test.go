package agent_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/api"
)

const crashEnv = "CERTCTL_TEST_CRASH_AT"

// crashing runs an agent in a process of its own, which kills itself at the
// step.
func crashing(t *testing.T, step, dir, placeDir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashProcess$")
	cmd.Env = append(os.Environ(), crashEnv+"="+step, "CERTCTL_TEST_DIR="+dir, "CERTCTL_TEST_PLACE="+placeDir)
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process was to be killed, but: %v\n%s", err, out)
	}
}

// TestCrashProcess is the other process: it deploys one generation, and dies
// during the next.
func TestCrashProcess(t *testing.T) {
	step := os.Getenv(crashEnv)
	if step == "" {
		t.Skip("runs only as the child of another test")
	}
	die := func() { syscall.Kill(os.Getpid(), syscall.SIGKILL) }
	f := &fixture{plane: newPlane(t), hooks: &hooks{}, dir: os.Getenv("CERTCTL_TEST_DIR"), log: &journalled{}}
	f.plane.targets["tgt-1"] = planeTarget{kind: "place", config: placeInput{Dir: os.Getenv("CERTCTL_TEST_PLACE"), Password: configWord}}
	if _, err := agent.Join(t.Context(), f.plane, joinToken, f.dir, api.JoinRequest{Hostname: "web1"}); err != nil {
		t.Fatal(err)
	}
	f.start(t)
	f.plane.issue("mc-web", 1, "", "localhost")
	f.plane.reported(t, "mc-web", "tgt-1", 1)
	switch step {
	case "stage":
		f.hooks.stage = func(context.Context, placeConfig) error { die(); return nil }
	case "swap":
		f.hooks.swap = func(context.Context, placeConfig) error { die(); return nil }
	case "report":
		f.plane.onReport = func(api.Report) error { die(); return nil }
	}
	f.plane.issue("mc-web", 2, "", "localhost")
	f.plane.reported(t, "mc-web", "tgt-1", 2)
}

func TestAKilledAgentPutsThingsRightBeforeItReachesTheServer(t *testing.T) {
	for _, step := range []string{"stage", "swap", "report"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir, placeDir := filepath.Join(t.TempDir(), "agent"), t.TempDir()
			crashing(t, step, dir, placeDir)
			pending := filepath.Join(dir, "targets", "tgt-1.json")
			if step != "report" && !exists(pending) {
				t.Fatal("the configuration was not kept before the deployment")
			}

			f := &fixture{plane: newPlane(t), hooks: &hooks{}, dir: dir, log: &journalled{}}
			f.plane.down = true
			a, _ := f.start(t)
			deadline := time.After(10 * time.Second)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for exists(pending) || a.Status().LastContact.IsZero() && len(journalOf(t, dir)) > 0 {
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatalf("nothing was put right; log:\n%s", f.log)
				}
			}
			key := mustRead(t, filepath.Join(placeDir, "key.pem"))
			cert := mustRead(t, filepath.Join(placeDir, "cert.pem"))
			if !pairs(cert, key) {
				t.Error("certificate and key do not belong together")
			}
			held := []string{f.key(t, "mc-web.key")}
			if step == "report" {
				held = append(held, f.key(t, "mc-web@prev.key"))
			} else {
				held = append(held, f.key(t, "mc-web@2.key"))
				if held[0] != key {
					t.Error("the key in use is not the one that is served")
				}
			}
			if held[0] == held[1] {
				t.Error("a key was lost")
			}
		})
	}
}

func journalOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "journal", "*.deployment"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestEveryFileIsPrivateFromItsFirstByte watches the folders with inotify,
// with a umask that hides nothing.
func TestEveryFileIsPrivateFromItsFirstByte(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	f := newFixture(t)
	f.target(t, f.t1, false)
	f.target(t, f.t2, false)
	a, err := agent.New(f.options(t)) // makes the folders
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close()
	folders := map[int32]string{}
	for _, name := range []string{"", "keys", "journal", "targets"} {
		folder := filepath.Join(f.dir, name)
		wd, err := syscall.InotifyAddWatch(fd, folder, syscall.IN_CREATE|syscall.IN_ATTRIB|syscall.IN_MODIFY|syscall.IN_MOVED_TO)
		if err != nil {
			t.Fatal(err)
		}
		folders[int32(wd)] = folder
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v; want 0700", folder, info.Mode(), err)
		}
	}
	seen := make(chan map[string]bool)
	go func() {
		names := map[string]bool{}
		buffer := make([]byte, 1<<16)
		for {
			n, err := watch.Read(buffer)
			if err != nil {
				seen <- names
				return
			}
			for b := buffer[:n]; len(b) > 0; {
				event := (*syscall.InotifyEvent)(unsafe.Pointer(&b[0]))
				size := syscall.SizeofInotifyEvent + int(event.Len)
				name := strings.TrimRight(string(b[syscall.SizeofInotifyEvent:size]), "\x00")
				path := filepath.Join(folders[event.Wd], name)
				b = b[size:]
				names[path] = true
				if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm() != 0o600 {
					t.Errorf("%s has mode %04o", path, info.Mode().Perm())
				}
			}
		}
	}()

	_, stop := f.start(t)
	for g := range int64(5) {
		f.plane.issue("mc-web", g+1, "", "localhost")
		f.plane.reported(t, "mc-web", f.t1, g+1)
		f.plane.reported(t, "mc-web", f.t2, g+1)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	watch.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	names := <-seen
	for _, name := range []string{"keys/mc-web.key", "keys/mc-web@1.key", "keys/mc-web@5.key", "keys/mc-web@prev.key", "targets/" + f.t1 + ".json", "journal/" + f.t1 + ".deployment"} {
		if !names[filepath.Join(f.dir, name)] {
			t.Errorf("%s was not watched; the test tells nothing of it", name)
		}
	}
	filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		return nil
	})
}

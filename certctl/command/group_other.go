//go:build !unix

package command

import "os/exec"

// group leaves a command as it is: it is killed without its children.
func group(*exec.Cmd) {}

// endGroup has nobody to end.
func endGroup(*exec.Cmd) {}

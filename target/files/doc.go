// Package files deploys certificates as files, with optional commands that
// check the server's configuration and make it read them: the kind "files",
// and the mechanics of every kind that does the same, such as target/nginx.
//
// A deployment never leaves a key beside a certificate that it does not fit:
// new files are written next to the live ones, with their final owner and mode
// and 0600 for keys from the first byte; they replace the live ones by rename,
// key first, and nothing but a reload makes the server look. Whatever fails
// puts the previous bytes back.
package files

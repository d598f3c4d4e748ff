// Package e2e walks the product from outside: the built programs, real nginx,
// real Postgres, OpenSSL, GnuTLS, NSS and curl as judges.
package e2e

// Package acme is an issuer that speaks to any ACME server (RFC 8555): Let's
// Encrypt, ZeroSSL, Google Trust Services, step-ca, Pebble.
//
// The order's URL is handed to the engine before anything else happens, so that
// an order is resumed after a crash and never placed twice. A CA that asks for
// patience (Retry-After) is not asked again before the time is over, by no order
// of this process; the engine keeps the time for the others. The account key and
// its URL lie in the instance's vault and are shared by all replicas: one account.
//
// Validations: http-01 by a listener that runs only while something is to be
// validated, or by a folder that a web server shows; tls-alpn-01 by a listener;
// dns-01 by commands or by dynamic updates (RFC 2136), where the record is looked
// for at the zone's own name servers before the CA is told to look; and
// dns-persist-01, whose record stays.
package acme

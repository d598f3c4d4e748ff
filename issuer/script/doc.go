// Package script is an issuer for any CA that a program can be written for:
// "openssl ca", a vendor's command line, a ticket to a person.
//
// A program is an argument vector, without a shell. It sees PATH, HOME, LANG, what
// the configuration adds, and of the request:
//
//	CERTCTL_ACTION          sign, find, revoke or crl
//	CERTCTL_REQUEST_KEY     the same at every attempt for one certificate
//	CERTCTL_COMMON_NAME, CERTCTL_DNS_NAMES, CERTCTL_IPS, CERTCTL_EMAILS,
//	CERTCTL_URIS, CERTCTL_EKUS            lists are separated by commas
//	CERTCTL_NOT_BEFORE, CERTCTL_NOT_AFTER RFC 3339; empty: the CA decides
//	CERTCTL_PROFILE, CERTCTL_REPLACES_SERIAL
//	CERTCTL_SERIAL, CERTCTL_REASON, CERTCTL_REASON_CODE   at a revocation
//
// It may print a megabyte and take the configured time; whatever it started is
// ended with it. Its exit status says what happened:
//
//	0    done
//	65   refused for good (EX_DATAERR of sysexits.h)
//	75   nothing was done; later it may work (EX_TEMPFAIL)
//	77, 78   nothing was done; somebody has to mend the configuration
//	else, and the time limit: it may have been done
package script

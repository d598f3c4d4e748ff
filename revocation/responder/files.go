package responder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// crl answers with the newest list of a scope: {issuer}, {issuer}/{shard}, each
// with /delta after it, and ".crl" at the end or not. A list that is past its
// nextUpdate is still the best there is: it is sent, and caches are told not to
// keep it.
func (h *Handler) crl(ctx context.Context, r *Request, path string) Reply {
	id, ok := parseCRL(strings.TrimSuffix(path, ".crl"))
	if !ok || h.o.CRL == nil {
		return nothing()
	}
	if reply, ok := allows(r, http.MethodGet, http.MethodHead); !ok {
		return reply
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.Limits.Answer)
	defer cancel()
	list, err := h.o.CRL(ctx, id)
	if err == nil && (list == nil || len(list.DER) == 0) {
		err = errors.New("it was not generated yet")
	}
	if err != nil {
		return h.unavailable(ctx, "CRL", id.Issuer, err)
	}
	if now := h.o.Now(); now.After(list.NextUpdate) {
		h.log.WarnContext(ctx, "serving an expired CRL", "issuer", id.Issuer, "number", fmt.Sprint(list.Number), "next_update", list.NextUpdate)
	}
	reply := Reply{
		Status: http.StatusOK, ContentType: typeCRL, Body: list.DER, Length: []string{strconv.Itoa(len(list.DER))},
		LastModified: []string{list.ThisUpdate.UTC().Format(http.TimeFormat)},
		// Numbers only rise, so that one and a time name the octets; hashing a big
		// CRL for each request would cost more than sending it.
		ETag: []string{fmt.Sprintf(`"%v-%x-%x"`, list.Number, list.ThisUpdate.Unix(), len(list.DER))},
	}
	h.cacheUntil(&reply, list.NextUpdate)
	return unchanged(r, reply)
}

// parseCRL reads what follows "crl/".
func parseCRL(path string) (id CRLID, ok bool) {
	path, id.Delta = strings.CutSuffix(path, "/delta")
	issuer, shard, partitioned := strings.Cut(path, "/")
	if id.Issuer = named(issuer); id.Issuer == "" {
		return id, false
	}
	if partitioned {
		n, err := strconv.ParseUint(shard, 10, 16)
		if err != nil || n == 0 || shard[0] == '0' || shard[0] == '+' {
			return id, false
		}
		id.Shard = int(n)
	}
	return id, true
}

// ca answers with a CA certificate, as caIssuers URLs want it (RFC 5280 section
// 4.2.2.1).
func (h *Handler) ca(ctx context.Context, r *Request, issuer string) Reply {
	if h.o.CACert == nil {
		return nothing()
	}
	if reply, ok := allows(r, http.MethodGet, http.MethodHead); !ok {
		return reply
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.Limits.Answer)
	defer cancel()
	raw, err := h.o.CACert(ctx, issuer)
	if err == nil && len(raw) == 0 {
		err = fmt.Errorf("%s has no certificate yet", issuer)
	}
	if err != nil {
		return h.unavailable(ctx, "CA certificate", issuer, err)
	}
	tag := sha256.Sum256(raw)
	reply := Reply{
		Status: http.StatusOK, ContentType: typeCA, Body: raw, Length: []string{strconv.Itoa(len(raw))},
		ETag: []string{`"` + hex.EncodeToString(tag[:]) + `"`},
	}
	h.cacheUntil(&reply, h.o.Now().Add(365*24*time.Hour))
	return unchanged(r, reply)
}

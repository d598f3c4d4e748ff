package responder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"
)

// serveCRL sends the newest CRL, with 304 and ranges. One that is past its
// nextUpdate is still the best there is: it is sent, and caches are told not
// to keep it.
func (h *Handler) serveCRL(w http.ResponseWriter, r *http.Request, issuer string) {
	if h.o.CRL == nil {
		refuse(w, http.StatusNotFound, "nothing is served here")
		return
	}
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	list, err := h.o.CRL(r.Context(), issuer)
	if err == nil && (list == nil || len(list.DER) == 0) {
		err = fmt.Errorf("no CRL of %s was generated yet", issuer)
	}
	if err != nil {
		h.unavailable(w, r, "CRL", issuer, err)
		return
	}
	if now := h.o.Now(); now.After(list.NextUpdate) {
		h.log.WarnContext(r.Context(), "serving an expired CRL", "issuer", issuer, "number", fmt.Sprint(list.Number), "next_update", list.NextUpdate)
	}
	header := w.Header()
	header.Set("Content-Type", "application/pkix-crl")
	// Numbers only rise, so that one and a time name the octets; hashing a big
	// CRL for each request would cost more than sending it.
	header.Set("ETag", fmt.Sprintf(`"%v-%x-%x"`, list.Number, list.ThisUpdate.Unix(), len(list.DER)))
	h.cacheUntil(header, list.NextUpdate, ", public, no-transform, must-revalidate")
	http.ServeContent(w, r, "", list.ThisUpdate, bytes.NewReader(list.DER))
}

// serveCA sends a CA certificate, as caIssuers URLs want it (RFC 5280 section
// 4.2.2.1).
func (h *Handler) serveCA(w http.ResponseWriter, r *http.Request, issuer string) {
	if h.o.CACert == nil {
		refuse(w, http.StatusNotFound, "nothing is served here")
		return
	}
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	raw, err := h.o.CACert(r.Context(), issuer)
	if err == nil && len(raw) == 0 {
		err = fmt.Errorf("%s has no certificate yet", issuer)
	}
	if err != nil {
		h.unavailable(w, r, "CA certificate", issuer, err)
		return
	}
	tag := sha256.Sum256(raw)
	header := w.Header()
	header.Set("Content-Type", "application/pkix-cert")
	header.Set("ETag", `"`+hex.EncodeToString(tag[:])+`"`)
	h.cacheUntil(header, h.o.Now().Add(h.o.Limits.MaxAge), ", public")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(raw))
}

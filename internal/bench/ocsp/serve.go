package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
	"github.com/certctl/certctl/revocation/responder/fast"
)

// serve is one server in a process of its own: "serve KIND ADDRESS DIR BYTES".
func serve(kind string, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("serve %s ADDRESS DIR BYTES", kind)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", args[0])
	if err != nil {
		return err
	}
	var size int
	if _, err := fmt.Sscan(args[2], &size); err != nil {
		return err
	}
	switch kind {
	case "floor-nethttp":
		return serveHTTP(l, floor(size))
	case "floor-fasthttp":
		return floorFast(l, size)
	case "ours-nethttp":
		h, err := ours(args[1])
		if err != nil {
			return err
		}
		return serveHTTP(l, h)
	case "ours-fasthttp":
		h, err := ours(args[1])
		if err != nil {
			return err
		}
		s, err := fast.New(fast.Options{Handler: h})
		if err != nil {
			return err
		}
		return s.Serve(l)
	}
	return fmt.Errorf("no server %q", kind)
}

func serveHTTP(l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, IdleTimeout: time.Minute, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	return s.Serve(l)
}

// octets are the size of an answer, and look like a successful one.
func octets(size int) []byte {
	b := make([]byte, size)
	copy(b, []byte{0x30, 0x82, 0, 0, 0x0a, 1, 0})
	return b
}

// floor reads the request and writes as many octets as an answer has: the plain
// handler that anybody would write.
func floor(size int) http.Handler {
	body := octets(size)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/ocsp-response")
		_, _ = w.Write(body)
	})
}

func floorFast(l net.Listener, size int) error {
	body := octets(size)
	s := &fasthttp.Server{NoDefaultServerHeader: true, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, Handler: func(ctx *fasthttp.RequestCtx) {
		if len(ctx.Request.Body()) == 0 {
			panic("no body")
		}
		ctx.Response.Header.SetContentType("application/ocsp-response")
		ctx.Response.SetBodyRaw(body)
	}}
	return s.Serve(l)
}

// known is a source of serials that are good; it never changes. It has no
// pointers, so that the collector's work is the responder's.
type known map[[16]byte]struct{}

func keyOf(n *big.Int) (key [16]byte) {
	if n.BitLen() <= 128 {
		n.FillBytes(key[:])
	}
	return key
}

func (k known) Status(_ context.Context, _ string, n *big.Int) (revocation.Status, error) {
	if _, ok := k[keyOf(n)]; ok {
		return revocation.Status{State: revocation.Good}, nil
	}
	return revocation.Status{}, nil
}

func (k known) Revoked(context.Context, revocation.Selection, func(*big.Int, revocation.Status) error) error {
	return nil
}

func (k known) Changes(_ context.Context, _ string, since int64, _ func(*big.Int) error) (int64, error) {
	now := int64(len(k))
	if since > now {
		return now, revocation.ErrAllChanged
	}
	return now, nil
}

func ours(dir string) (*responder.Handler, error) {
	ca, err := certificate(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "delegate.pem"), filepath.Join(dir, "delegate.key"))
	if err != nil {
		return nil, err
	}
	delegate, err := certificate(filepath.Join(dir, "delegate.pem"))
	if err != nil {
		return nil, err
	}
	issuer, err := ocsp.NewIssuer(ocsp.Credentials{CA: ca[0], Cert: delegate[0], Signer: signer(pair)})
	if err != nil {
		return nil, err
	}
	source, err := readKnown(filepath.Join(dir, "issued.txt"))
	if err != nil {
		return nil, err
	}
	answers, err := ocsp.New(ocsp.Options{Source: source, Issuers: ocsp.Fixed(issuer), Now: time.Now, CacheSize: 512 << 20})
	if err != nil {
		return nil, err
	}
	go func() { _ = answers.Follow(context.Background()) }()
	return responder.New(responder.Options{OCSP: func(context.Context, string) (*ocsp.Responder, error) { return answers, nil }, Now: time.Now})
}

func readKnown(file string) (known, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := known{}
	for in := bufio.NewScanner(f); in.Scan(); {
		b, err := hex.DecodeString(in.Text())
		if err != nil {
			return nil, err
		}
		out[keyOf(new(big.Int).SetBytes(b))] = struct{}{}
	}
	return out, nil
}

func certificate(file string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return chain.Certificates(text)
}

func signer(pair tls.Certificate) crypto.Signer { return pair.PrivateKey.(crypto.Signer) }

package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
)

// admin counts requests, and serves /health, /ready and /metrics.
type admin struct {
	registry *registry
	answered [6]atomic.Int64 // by the first digit of the status
	octets   atomic.Int64
	every    int64 // log one request in so many
	count    atomic.Int64
}

// observe is told of each request. It does little: there are many.
func (a *admin) observe(ctx *fasthttp.RequestCtx, took time.Duration) {
	status := ctx.Response.StatusCode()
	if class := status / 100; class < len(a.answered) {
		a.answered[class].Add(1)
	}
	a.octets.Add(int64(len(ctx.Response.Body())))
	if a.every > 0 && a.count.Add(1)%a.every == 0 {
		a.registry.log.Info("request", "method", string(ctx.Method()), "path", clip(string(ctx.Path()), 300), "status", status,
			"bytes", len(ctx.Response.Body()), "remote", ctx.RemoteIP().String(), "duration_us", took.Microseconds(), "one_in", a.every)
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func (a *admin) handler() http.Handler {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(a)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.registry.problems(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

var (
	descRequests = prometheus.NewDesc("certctl_responder_requests_total", "Requests answered, by class of status", []string{"class"}, nil)
	descOctets   = prometheus.NewDesc("certctl_responder_response_bytes_total", "Octets of answers, without headers", nil, nil)
	descReady    = prometheus.NewDesc("certctl_responder_ready", "1 when the issuer can be answered for, with fresh facts", []string{"issuer"}, nil)
	descNumber   = prometheus.NewDesc("certctl_responder_crl_number", "Number of the CRL", []string{"issuer"}, nil)
	descThis     = prometheus.NewDesc("certctl_responder_crl_this_update_seconds", "thisUpdate of the CRL, since 1970", []string{"issuer"}, nil)
	descNext     = prometheus.NewDesc("certctl_responder_crl_next_update_seconds", "nextUpdate of the CRL, since 1970", []string{"issuer"}, nil)
	descEntries  = prometheus.NewDesc("certctl_responder_crl_entries", "Entries of the CRL", []string{"issuer"}, nil)
	descIssued   = prometheus.NewDesc("certctl_responder_index_serials", "Serials of the index of what was issued", []string{"issuer"}, nil)
	descRejected = prometheus.NewDesc("certctl_responder_rejected_total", "CRLs and indexes that were kept out", []string{"issuer", "reason"}, nil)
	descKept     = prometheus.NewDesc("certctl_responder_cache_bytes", "Memory of signed answers that are kept", []string{"issuer"}, nil)
)

// Describe implements prometheus.Collector.
func (a *admin) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(a, out) }

// Collect implements prometheus.Collector.
func (a *admin) Collect(out chan<- prometheus.Metric) {
	put := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for class := 1; class < len(a.answered); class++ {
		put(descRequests, prometheus.CounterValue, float64(a.answered[class].Load()), fmt.Sprintf("%dxx", class))
	}
	put(descOctets, prometheus.CounterValue, float64(a.octets.Load()))
	for name, s := range a.registry.now.Load().m {
		now := s.state()
		ready := 1.0
		if now.problem != nil {
			ready = 0
		}
		put(descReady, prometheus.GaugeValue, ready, name)
		put(descKept, prometheus.GaugeValue, float64(s.answers.Health().Kept), name)
		put(descIssued, prometheus.GaugeValue, float64(now.issued), name)
		for reason, n := range now.rejected {
			put(descRejected, prometheus.CounterValue, float64(n), name, reason)
		}
		if now.nextUpdate.IsZero() {
			continue
		}
		put(descNumber, prometheus.GaugeValue, now.number, name)
		put(descThis, prometheus.GaugeValue, float64(now.thisUpdate.Unix()), name)
		put(descNext, prometheus.GaugeValue, float64(now.nextUpdate.Unix()), name)
		put(descEntries, prometheus.GaugeValue, float64(now.entries), name)
	}
}

# Everything that a contributor or CI runs. `make help` lists it.

GO       ?= go
PKGS     ?= ./...
# Longest that the tests of one package may take under the race detector.
TIMEOUT  ?= 20m
BENCH    ?= .
DEV_ARGS ?=

BIN   := bin
TOOLS := $(BIN)/tools

# nginx lives in sbin, which is not on the PATH of an ordinary Debian user.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One after the other also under `make -j`: the cheap checks come first and the
# lines of `go test` are the last that is printed.
.PHONY: test
test: ## everything: peers, lint, then all tests with the race detector
	@$(MAKE) --no-print-directory peers
	@$(MAKE) --no-print-directory lint
	CGO_ENABLED=1 CERTCTL_REQUIRE_PEERS=1 $(GO) test -race -timeout $(TIMEOUT) $(PKGS)

.PHONY: quick
quick: ## the tests alone, without the race detector; missing peers are skipped
	$(GO) test -timeout $(TIMEOUT) $(PKGS)

.PHONY: lint
lint: fmt-check tidy-check vet golangci ## gofmt, go.mod, go vet, golangci-lint

.PHONY: fmt-check
fmt-check:
	@files=$$(gofmt -l $$(git ls-files '*.go')) || exit 1; \
	if [ -n "$$files" ]; then echo "not formatted; run: make fmt" >&2; echo "$$files" >&2; exit 1; fi

.PHONY: tidy-check
tidy-check:
	$(GO) mod tidy -diff

.PHONY: vet
vet:
	$(GO) vet $(PKGS)

.PHONY: golangci
golangci: | $(BIN)
	@lint=$$(scripts/golangci-lint.sh $(TOOLS)) && echo "golangci-lint run $(PKGS)" && "$$lint" run $(PKGS)

.PHONY: fmt
fmt: ## format all Go files
	gofmt -w $$(git ls-files '*.go')

.PHONY: peers
peers: ## install the programs that tests run against, or say what is missing
	@scripts/install-peers.sh

.PHONY: generate
generate: ## write the generated files anew (OpenAPI documents and the like)
	$(GO) generate $(PKGS)

.PHONY: build
build: | $(BIN) ## static binaries into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/...

.PHONY: bench
bench: ## benchmarks; BENCH=regexp and PKGS=./path/... narrow them
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -timeout $(TIMEOUT) $(PKGS)

.PHONY: bench-revocation
bench-revocation: ## OCSP over loopback against its floors, openssl and cfssl, as ratios
	$(GO) run ./internal/bench/ocsp $(BENCH_ARGS)

.PHONY: dev
dev: ## run everything on this machine: CA, server, agent and a demo site
	$(GO) run ./cmd/certctl-server dev $(DEV_ARGS)

.PHONY: clean
clean: ## remove bin/; the data folder of `make dev` stays
	rm -rf $(BIN)

$(BIN):
	@mkdir -p $@

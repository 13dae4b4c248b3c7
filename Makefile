# make test    installs what the tests need (Debian packages, as root) and runs everything, real servers included
# make bench   measures, side by side with other libraries, and writes docs/performance.md and its plot
# make check   formatting, vet, staticcheck, go.mod
# make fuzz    every fuzz target for FUZZTIME
# make servers installs the real servers only

GO         ?= go
FUZZTIME   ?= 5s
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.1
MODULES     = . bench

.PHONY: test check servers unit fuzz examples bench-test bench bench-quick

test: check servers unit examples bench-test fuzz

check:
	@test -z "$$(gofmt -l .)" || { echo "gofmt:"; gofmt -l .; exit 1; }
	@for m in $(MODULES); do (cd $$m && $(GO) mod tidy -diff && $(GO) vet ./... && $(STATICCHECK) ./...) || exit 1; done

servers:
	$(GO) run ./internal/integration/cmd/servers install

unit:
	$(GO) test -race -shuffle=on ./...

examples:
	$(GO) run ./examples/quickstart

bench-test:
	cd bench && $(GO) test -race ./...

fuzz:
	GO="$(GO)" FUZZTIME=$(FUZZTIME) sh .ci/fuzz

bench:
	cd bench && $(GO) run . -all -out ../docs/performance.md -svg ../docs/performance.svg

bench-quick:
	cd bench && $(GO) run . -quick

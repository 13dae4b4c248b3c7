# make test    installs what the tests need (Debian packages, as root) and runs everything, real servers included
# make bench   measures, side by side with other libraries, and writes docs/performance.md and its plot
# make check   formatting, vet, staticcheck, go.mod
# make fuzz    every fuzz target for FUZZTIME
# make soak    messages over a connection that is reset every second, for SOAK on each of two servers
# make servers installs the real servers only
# make compatibility logs in to the real servers in every way, and writes docs/compatibility.md

GO         ?= go
FUZZTIME   ?= 3s
SOAK       ?= 5m
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.1
MODULES     = . bench storage/sqlstore modules/serverless examples/roombot

XMPPJS      = internal/interop/clients/xmppjs

.PHONY: compatibility test tools check servers interop-tools unit rest store-test serverless-test examples-test fuzz soak examples bench-tools bench-test bench bench-quick

test: tools check servers interop-tools unit rest fuzz

# need COMMANDS, PACKAGES: installs the packages if a command is missing and root may; what is missing all the same says so itself.
need = @for c in $(1); do command -v $$c >/dev/null && continue; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2); fi; break; done

tools:
	$(call need,gcc git python3,gcc libc6-dev git python3)

check:
	@test -z "$$(gofmt -l .)" || { echo "gofmt:"; gofmt -l .; exit 1; }
	@for m in $(MODULES); do (cd $$m && $(GO) mod tidy -diff && $(GO) vet ./... && $(STATICCHECK) ./...) || exit 1; done

servers:
	$(GO) run ./internal/integration/cmd/servers install

# The programs of others that the tests talk to: slixmpp, python-zeroconf and @xmpp/client.
interop-tools: $(XMPPJS)/node_modules/.package-lock.json
	@/usr/bin/python3 -c "import slixmpp, zeroconf" 2>/dev/null || [ "$$(id -u)" != 0 ] || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-slixmpp python3-zeroconf; }

$(XMPPJS)/node_modules/.package-lock.json: $(XMPPJS)/package-lock.json
	$(call need,node npm,nodejs npm)
	npm ci --prefix $(XMPPJS) --ignore-scripts --no-audit --no-fund --loglevel=error

# What make check has vetted is not vetted again. One package at a time where some load the machine and others look at the clock; the rest computes, or waits for real servers.
BUSY = . ./internal/compat ./internal/integration ./internal/interop ./internal/reliability
unit:
	$(GO) test -race -vet=off -shuffle=on -p 1 -parallel 3 -timeout 20m $(BUSY)
	$(GO) test -race -vet=off -shuffle=on -p 2 -timeout 20m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(BUSY))")

# What is not of the module itself, by twos: the stores compute, and the others mostly wait.
rest:
	$(MAKE) -j2 --output-sync=target store-test serverless-test examples examples-test bench-test

examples:
	$(GO) run ./examples/quickstart
	$(GO) run ./examples/contacts </dev/null
	$(GO) run ./examples/unbreakable -messages 400 -cuts 8 -rate 400 -restart -svg ""
	$(GO) run ./examples/sensors
	cd examples/roombot && $(GO) run .

# Those of the examples that are modules of their own.
examples-test:
	cd examples/roombot && $(GO) test -race -shuffle=on ./...

store-test:
	cd storage/sqlstore && $(GO) test -race -shuffle=on ./...

serverless-test:
	cd modules/serverless && $(GO) test -race -shuffle=on ./...

bench-test:
	cd bench && $(GO) test -race ./...

fuzz:
	GO="$(GO)" FUZZTIME=$(FUZZTIME) sh .ci/fuzz

soak: servers
	XMPP_INTEGRATION=required XMPP_SOAK=$(SOAK) $(GO) test -v -count=1 -run Soak -timeout 0 ./internal/reliability

compatibility: servers
	XMPP_INTEGRATION=required $(GO) test -count=1 -run Compatibility ./internal/compat -update

# libstrophe, libexpat and slixmpp are measured too, where they are
bench-tools:
	@dpkg -s libstrophe-dev libexpat1-dev python3-slixmpp >/dev/null 2>&1 || [ "$$(id -u)" != 0 ] || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libstrophe-dev libexpat1-dev python3-slixmpp; }

bench: tools servers bench-tools
	cd bench && $(GO) run . -all -out ../docs/performance.md -svg ../docs/performance.svg

bench-quick: tools servers bench-tools
	cd bench && $(GO) run . -quick

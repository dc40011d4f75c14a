# "make" alone prints what there is: the text behind each ##.

.PHONY: help build test containerd-test crio-test demo player-test cluster-test cluster-test-all cluster bench bench-quick manifests fuzz fmt lint clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

build: ## bin/exectape, a static binary
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/exectape

# As root the tests may make network namespaces, set rules and start containerd.
ROOT := $(shell [ "$$(id -u)" = 0 ] && echo EXECTAPE_TEST_ROOT=1)

test: ## install what is missing, then run all tests and fuzz targets, as root also those that need it
	@e2e/install.sh
	$(ROOT) go test -race -timeout 30m ./...
	@$(MAKE) --no-print-directory fuzz
	$(ROOT) go -C e2e test -race -count=1 -timeout 1h ./...

CONTAINERD := v2.4.2

# What depends on the runtime. Rules, disks and upgrades don't: Debian's is enough
# for those.
CONTAINERD_TESTS := Hostile|EitherProtocol|AreWhatTheyAre|TestA(Kill|PortForward|Rune|Runtime|SessionIsKnown|SessionThatMay|Terminal)|TestAn(Attach|End)|TestClients|TestContainers|TestHowever|TestNo(Kill|Session)|TestSOCKS5|TestThe(FirstSize|Streaming)|TestWhat(IsRecorded|everA)

containerd-test: ## run those of the end-to-end tests that depend on the runtime on a containerd newer than Debian's, which is built first where it has not been
	@e2e/install.sh
	containerd="$$(e2e/node/build.sh $(CONTAINERD))" && \
	EXECTAPE_TEST_CONTAINERD="$$containerd" $(ROOT) go -C e2e test -race -count=1 -timeout 30m -run '$(CONTAINERD_TESTS)' .

CRIO := v1.34.0

# What depends on the runtime: that it is found, what passes, and whose it is. Not
# the same each time are what CRI-O says of a command that isn't there, with the
# time, and what a terminal shows last. 64 MiB are enough in one direction.
CRIO_TESTS := EitherProtocol|TestARuntime|TestASessionIsKnown|TestNoSession|TestClientsThatNever|TestAnAttachIs|TestSessionsAreWhatTheyAreWithoutExectape/^(without|SOCKS5)$$
CRIO_NOT := TestSessionsAreWhatTheyAreWithoutExectape/.*/(a_command_that_isn.t_there|a_shell_on_a_terminal)|TestSessionsAreWhatTheyAreWithoutExectape/SOCKS5/64_MiB_of_output

crio-test: ## run those of the end-to-end tests that depend on the runtime on CRI-O, which is built first where it has not been
	@e2e/node/install-crio.sh
	crio="$$(e2e/node/build-crio.sh $(CRIO))" && \
	EXECTAPE_TEST_CRIO="$$crio" $(ROOT) go -C e2e test -race -count=1 -timeout 15m -run '$(CRIO_TESTS)' -skip '$(CRIO_NOT)' .

demo: ## install what is missing, then record real sessions and show the casts
	@e2e/install.sh
	@go -C e2e run ./demo

player-test: ## install Chromium and asciinema-player, then have them play every golden cast
	@e2e/player/install.sh
	EXECTAPE_TEST_PLAYER=1 go -C e2e test -count=1 ./player

KUBERNETES := v1.37.2

cluster-test: ## run kubectl against a real Kubernetes, on Debian's containerd and a newer one; what is missing is built first
	@e2e/cluster/install.sh
	@kubernetes="$$(e2e/cluster/build.sh $(KUBERNETES))" && newer="$$(e2e/node/build.sh $(CONTAINERD))" && \
	for containerd in "" "$$newer"; do \
		echo "==> Kubernetes $(KUBERNETES), containerd $${containerd:-of Debian}"; \
		EXECTAPE_TEST_KUBERNETES="$$kubernetes" EXECTAPE_TEST_CONTAINERD="$$containerd" go -C e2e test -count=1 -timeout 30m ./cluster || exit; \
	done

# In 1.34 the API server translates WebSockets to SPDY, in 1.37 the kubelet does.
cluster-test-all: cluster-test ## the same, and on an older Kubernetes
	@$(MAKE) --no-print-directory cluster-test KUBERNETES=v1.34.4

cluster: ## start a Kubernetes with exectape on it, and a shell in which kubectl reaches it
	@e2e/cluster/install.sh
	@EXECTAPE_TEST_KUBERNETES="$$(e2e/cluster/build.sh $(KUBERNETES))" go -C e2e run ./cluster/try

bench: ## measure against what people would run instead, in a quarter of an hour
	@bench/install.sh
	@mkdir -p bin && go -C bench run . -source .. -cells ../bin/bench.jsonl

bench-quick: ## measure what docs/performance.md promises, in two minutes
	@bench/install.sh
	@mkdir -p bin && go -C bench run . -source .. -quick -cells ../bin/bench-quick.jsonl

manifests: ## render each of deploy's kustomizations
	@for directory in deploy/base deploy/overlays/*; do \
		echo "# $$directory"; go tool -modfile=tools/go.mod kustomize build $$directory || exit; done

fuzz: ## run each fuzz target for five seconds
	@tools/fuzz.sh 5s

# The linters have a module of their own, which is none of the product's.
LINTER := go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint

fmt: ## format the code and group its imports
	$(LINTER) fmt
	cd e2e && $(LINTER) fmt
	cd bench && $(LINTER) fmt

lint: ## find mistakes that the compiler doesn't
	$(LINTER) run
	cd e2e && $(LINTER) run
	cd bench && $(LINTER) run

clean: ## remove what build made
	rm -rf bin

# SPDX-License-Identifier: Apache-2.0
#
# What people type; `make help` lists it. The work is done in scripts/ and by
# SwiftPM, which knows what has to be built anew.

KERNEL ?= 6.12
HOST ?=
SCENARIO ?=
DEMO ?= wire
REPEAT ?= 3
# SwiftPM's build directory.
export SCRATCH ?= .build

.PHONY: help build deb test check format unit lab demo proof fleet fixtures clean

help: ## this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s%s\n", $$1, $$2 }'
	@echo
	@echo "  KERNEL=6.1|6.12    the guest's kernel (lab, demo); 6.12 by default"
	@echo "  SCENARIO=NAME      the lab's scenario; without it, make lab lists them"
	@echo "  HOST=prepared|default   whether the guest has the settings that survive"
	@echo "  DEMO=wire|deadlock|host"
	@echo "  REPEAT=N           how often make proof runs each scenario"

build: ## the static binary build/reservewatch; installs what it needs
	@scripts/build

deb: ## Debian packages of it in build/deb, looked at by lintian
	@scripts/build
	@scripts/deb

test: ## everything: check, build, unit tests, the lab on both kernels; needs root
	@scripts/test

check: ## lint and rules of the tree: format, imports, links, licences
	@scripts/bootstrap --check
	@scripts/check

format: ## puts Swift and C in the form that check wants
	@scripts/bootstrap --check
	swift format -i -r Package.swift Plugins Sources Tests
	clang-format-14 -i $$(git ls-files '*.c' '*.h')

unit: ## only the unit tests, and the BPF programs on this machine's kernel; needs root
	@scripts/test unit

lab: ## one scenario in a guest: make lab SCENARIO=wire-pull KERNEL=6.1
ifeq ($(SCENARIO),)
	@scripts/lab list
else
	@scripts/build
	@scripts/lab run --scenario $(SCENARIO) --kernel $(KERNEL) $(if $(HOST),--host $(HOST))
endif

demo: ## a guest swapping over NBD, watched live while its wire is pulled
	@scripts/demo $(DEMO) $(KERNEL)

proof: ## every scenario, or SCENARIO=A,B, REPEAT times on both kernels; takes hours
	@scripts/build
	@scripts/lab proof --repeat $(REPEAT) $(if $(SCENARIO),--scenario $(SCENARIO))

fleet: ## a thousand simulated hosts against a real Prometheus; takes six minutes
	@scripts/fleet

fixtures: ## makes the tests' recordings anew from the last lab runs
	@scripts/fixtures

clean: ## removes what was built and fetched
	rm -rf .build build

# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# `make site` builds the bundle, the lab and the platform; `make test` is the gate. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
COLLECTION := .build/collections/ansible_collections/onprem/platform
INVENTORY ?= inventories/lab
PLAYBOOK = $(BIN)/ansible-playbook -i $(INVENTORY)
PYTHON_PATHS := plugins tests scripts roles/bundle/files/images/alert-sink
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- development set-up ----------------------------------------------------------------------------------------------
$(VENV)/.locked: requirements/development.txt scripts/find-python
	@python=$$(scripts/find-python); echo "==> virtual environment with $$($$python --version)"; \
	rm -rf $(VENV); $$python -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/development.txt; \
	touch $@

# Sphinx has an environment of its own, so that the one of the tests stays as it is.
.build/docs-venv/.locked: requirements/documentation.txt scripts/find-python
	@rm -rf $(@D); $$(scripts/find-python) -m venv $(@D); \
	$(@D)/bin/python -m pip install --quiet --require-hashes --requirement requirements/documentation.txt; \
	touch $@

# Versions of ansible-core that are supported beside the one of development.txt.
CORES := 2.19 2.20
$(CORES:%=.build/core-%/.locked): .build/core-%/.locked: requirements/core-%.txt scripts/find-python
	@rm -rf $(@D); $$(scripts/find-python) -m venv $(@D); \
	$(@D)/bin/python -m pip install --quiet --require-hashes --requirement $<; \
	touch $@

$(COLLECTION):
	@mkdir -p $(dir $@) .build/tmp; ln -sfn $(CURDIR) $@

.PHONY: venv
venv: $(VENV)/.locked $(COLLECTION) ## Make the locked virtual environment

.PHONY: lock
lock: ## Renew requirements/*.txt from their .in files (needs uv)
	for name in development:3.11 documentation:3.11 $(foreach core,$(CORES),core-$(core):$(if $(filter 2.19,$(core)),3.11,3.12)); do \
		version=$${name#*:}; name=$${name%:*}; \
		uv pip compile --universal --python-version $$version --generate-hashes --no-emit-index-url --no-header --upgrade \
			requirements/$$name.in --output-file requirements/$$name.txt; \
	done

# --- the product -----------------------------------------------------------------------------------------------------
.PHONY: bundle
bundle: venv ## Fill the bundle directory (downloads, or builds from source)
	@scripts/stage bundle $(PLAYBOOK) playbooks/bundle.yml

.PHONY: sign
sign: venv ## Sign the bundle's images (the key's password in COSIGN_PASSWORD)
	$(PLAYBOOK) playbooks/sign.yml

.PHONY: package
package: venv ## Build the collection's archive into .build (the same files give the same archive)
	@$(BIN)/python scripts/package.py .build

.PHONY: release
release: venv ## Archive, bill of materials, checksums and signature into .build/release (RELEASE_KEY, COSIGN_PASSWORD)
	@$(BIN)/python scripts/release.py .build/release

.PHONY: lab
lab: venv ## Create the lab's machines
	$(PLAYBOOK) playbooks/lab.yml

.PHONY: site
site: venv ## Bundle, lab and the whole platform
	@scripts/site

.PHONY: quick
quick: venv ## The same on a small lab, one control plane and two workers, to try a change (make clean first)
	@LAB_PROFILE=quick scripts/site

.PHONY: check
check: venv ## What site.yml would change now
	$(PLAYBOOK) playbooks/site.yml --check --diff

.PHONY: status
status: venv ## How the platform is, on one screen
	@$(PLAYBOOK) playbooks/status.yml

.PHONY: audit-chain
audit-chain: venv ## What runs in the application's namespace, and which commits it comes from
	@scripts/audit-chain

.PHONY: shell
shell: venv ## A shell for the lab: KUBECONFIG and VAULT_ADDR set
	@scripts/lab-shell

.PHONY: clean
clean: venv ## Remove everything that `make site` made, except the caches (bundle, machine image)
	$(PLAYBOOK) playbooks/lab.yml -e lab_state=absent
	rm -rf .lab .build/tmp

# --- documentation ---------------------------------------------------------------------------------------------------
.PHONY: docs
docs: .build/docs-venv/.locked $(COLLECTION) ## Render guides and reference into .build/site; needs dot (Debian: graphviz)
	@scripts/stage docs scripts/documentation/build

.PHONY: pictures
pictures: venv ## Make the pictures of the README anew, from a lab on which make site has run
	@scripts/pictures

# --- quality gate ----------------------------------------------------------------------------------------------------
.PHONY: format
format: venv ## Format the Python files
	$(BIN)/ruff format $(PYTHON_PATHS)
	$(BIN)/ruff check --fix $(PYTHON_PATHS)

.PHONY: dashboards
dashboards: venv ## Write Grafana's dashboards anew
	PYTHONPATH=scripts $(BIN)/python -m dashboards generate

# ruff's rules S are Bandit's.
RULES := $(patsubst tests/rules/test_%.py,%,$(wildcard tests/rules/test_*.py))
# In the order of the gate, where the sanity tests stand between the two.
CODE_CHECKS := ruff ruff-format mypy ansible-lint yamllint
NAMED_RULES := argument_specs variables action_groups licences
PROJECT_CHECKS := rule-argument_specs rule-variables rule-action_groups antsibull-docs antsibull-changelog shellcheck \
	$(patsubst %,rule-%,$(filter-out $(NAMED_RULES),$(RULES))) codespell rule-licences reuse
TWO_AT_A_TIME := $(MAKE) --jobs=2 --keep-going --output-sync=target
.PHONY: lint lint-code lint-project $(CODE_CHECKS:%=lint-%) $(PROJECT_CHECKS:%=lint-%)
lint: lint-code lint-project ## Static checks, two at a time; one of them alone: make lint-mypy, make lint-rule-variables, ...
lint-code: venv
	@$(TWO_AT_A_TIME) $(CODE_CHECKS:%=lint-%)
lint-project: venv
	@$(TWO_AT_A_TIME) $(PROJECT_CHECKS:%=lint-%)
lint-ansible-lint:
	@scripts/stage ansible-lint ansible-lint --offline --strict
lint-ruff-format:
	@scripts/stage ruff-format ruff format --check $(PYTHON_PATHS)
lint-ruff:
	@scripts/stage ruff ruff check $(PYTHON_PATHS)
lint-mypy:
	@scripts/stage mypy mypy $(COLLECTION)/plugins
lint-yamllint:
	@scripts/stage yamllint yamllint --strict .
lint-shellcheck:
	@scripts/stage shellcheck scripts/shellcheck
lint-antsibull-docs:
	@scripts/stage antsibull-docs antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self .
lint-antsibull-changelog:
	@scripts/stage antsibull-changelog antsibull-changelog lint
lint-reuse:
	@scripts/stage reuse reuse lint --quiet
lint-codespell:
	@scripts/stage codespell scripts/spelling
# Rules of the project itself, one file each in tests/rules. Links of the documentation are checked there in a second; what
# only the rendered site shows (a reference to an option, a page in no menu) by `make docs`, which test-long runs.
$(RULES:%=lint-rule-%): lint-rule-%:
	@scripts/stage rule-$(subst _,-,$*) pytest -q tests/rules/test_$*.py

.PHONY: unit
unit: venv ## Unit tests, and how many branches of the shared code they take (at least 90 %)
	@scripts/stage unit pytest -n 2 -q -m "not long" --cov --cov-report=json:.build/coverage.json --cov-report= tests/unit
	@scripts/stage coverage python scripts/branch_coverage.py plugins/module_utils/ 90

.PHONY: coverage-vault
coverage-vault: venv ## Branch coverage of what the Vault modules share, by unit tests alone (at least 95 %)
	$(BIN)/pytest -q --cov --cov-config=tests/unit/coverage-vault.cfg --cov-report=term-missing --cov-fail-under=95 \
		tests/unit/plugins/module_utils/test_compare.py tests/unit/plugins/module_utils/test_vault*.py \
		tests/unit/plugins/modules/test_vault_*.py

.PHONY: coverage-kubernetes
coverage-kubernetes: venv ## The same of what the Kubernetes and Flux modules share
	$(BIN)/pytest -q --cov --cov-config=tests/unit/coverage-kubernetes.cfg --cov-report=term-missing --cov-fail-under=95 \
		tests/unit/plugins/module_utils/test_flux*.py tests/unit/plugins/module_utils/test_kube_*.py \
		tests/unit/plugins/modules/test_k8s*.py tests/unit/plugins/modules/test_probe*.py

.PHONY: sanity
sanity: venv ## ansible-test sanity in a copy of the collection
	@scripts/stage sanity scripts/sanity

.PHONY: sanity-cores
sanity-cores: venv $(CORES:%=.build/core-%/.locked) ## The same with the other supported versions of ansible-core
	@for core in $(CORES); do SANITY_ENVIRONMENT=.build/core-$$core scripts/stage sanity-$$core scripts/sanity; done

.PHONY: plugins-cores
plugins-cores: venv $(CORES:%=.build/core-%/.locked) ## Unit tests of the plugins, and modules by playbook, with those versions
	@for core in $(CORES); do \
		PATH=$(CURDIR)/.build/core-$$core/bin:$$PATH scripts/stage plugins-$$core pytest -n 2 -q \
			tests/unit/plugins tests/integration/k8s/test_module_in_process.py; \
	done

.PHONY: integration
integration: venv ## Tests against real services of the bundle
	@scripts/test-services
	@scripts/stage integration pytest -n 2 --durations 20 -q -m "not long" tests/integration

.PHONY: molecule
molecule: venv ## The six-node scenario
	@scripts/stage molecule molecule test

.PHONY: benchmark
benchmark: benchmark-site benchmark-vault benchmark-images benchmark-kubernetes ## All figures of the documentation, written into its pages (an idle machine)

.PHONY: benchmark-site
benchmark-site: venv ## Figures of docs/performance.md: site.yml beside a bare script (15 minutes, own machines)
	$(BIN)/python tests/benchmarks/benchmark.py --publish

.PHONY: benchmark-vault
benchmark-vault: venv ## Figures of docs/vault.md: our modules beside loops over community.hashi_vault.vault_write
	$(BIN)/python tests/benchmarks/vault_benchmark.py --publish --output .build/vault-benchmark.json

.PHONY: benchmark-images
benchmark-images: venv ## Figures of docs/images.md: the application's images beside one image for everything (250 MB of packages)
	$(BIN)/python tests/benchmarks/images.py --publish

.PHONY: benchmark-kubernetes
benchmark-kubernetes: venv ## Figures of docs/kubernetes_modules.md: our modules beside kubernetes.core and kubectl (20 minutes)
	$(BIN)/python tests/benchmarks/kubernetes_benchmark.py --publish --output .build/kubernetes-benchmark.json

.PHONY: test
test: ## The gate that continuous integration runs
	@scripts/gate lint-code sanity lint-project unit bundle integration molecule

.PHONY: test-long
test-long: ## What takes longer: the rendered documentation, kills, fresh check runs, both producers end to end (CONTINUE=1 goes on)
	@scripts/gate lint-code sanity sanity-cores lint-project docs unit bundle plugins-cores integration integration-long faults molecule

.PHONY: integration-long
integration-long: venv ## The long tests beside the platform's
	@scripts/test-services
	@scripts/stage integration-long pytest -q -m long --durations 20 tests/unit tests/integration

# One stage for each lab that the tests need: machines without a platform, runs that are killed, a platform that works, and
# one that somebody new makes by what the pages say.
.PHONY: faults
faults: faults-plan faults-kill faults-platform faults-documentation ## Runs that are killed or misled and servers that are lost, on labs of their own

.PHONY: faults-plan faults-kill faults-platform faults-documentation
faults-plan: venv $(CORES:%=.build/core-%/.locked)
	@scripts/stage $@ pytest -q --durations 20 $(addprefix tests/faults/test_,leaks.py bad_input.py plan_and_secrets.py)
faults-kill: venv
	@scripts/stage $@ pytest -q --durations 20 tests/faults/test_kill.py
faults-platform: venv
	@scripts/stage $@ pytest -q --durations 20 $(addprefix tests/faults/test_,alerts.py logs.py flux.py policy.py network.py)
faults-documentation: venv
	@scripts/stage $@ pytest -q --durations 20 $(addprefix tests/faults/test_,documentation.py runbooks.py operations.py guides.py)

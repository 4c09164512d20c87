# The README's second command is `make test`; CI runs exactly that.
RELEASE := $(abspath $(or $(CARGO_TARGET_DIR),target))/release/vminsights-exporter
CARGO_DENY := .tools/cargo-deny/bin/cargo-deny
CARGO_DENY_VERSION := 0.20.2

.PHONY: test lint unit programs sdk paging dashboards deploy deny docs

test: lint unit programs sdk paging dashboards deploy deny

lint:
	cargo fmt --check
	cargo clippy --all-targets --all-features --locked -- -D warnings

# The edit-test loop: everything that needs no other program.
unit:
	cargo test --locked

# The release binary against real programs: Prometheus, promtool, Python, Microsoft's KQL analyser.
programs:
	tests/programs/install.sh
	cargo build --release --locked
	VMINSIGHTS_EXPORTER=$(RELEASE) cargo test --locked --features programs --test end_to_end --test packs_judged --test kql --test counters --test discovery -- --nocapture
	VMINSIGHTS_EXPORTER=$(RELEASE) python3 tests/soak/soak.py
	VMINSIGHTS_EXPORTER=$(RELEASE) python3 tests/attack/attack.py

# Microsoft's own clients for Python and JavaScript against the simulated workspace.
sdk:
	tests/sdk/install.sh
	cargo build --release --locked
	VMINSIGHTS_EXPORTER=$(RELEASE) tests/sdk/check.sh

# The rules, Alertmanager's configuration and mail, and the whole way of a page.
paging:
	tests/programs/install.sh
	tests/rules/check.sh
	tests/alertmanager/check.sh
	cargo build --release --locked
	VMINSIGHTS_EXPORTER=$(RELEASE) python3 tests/paging/pipeline_test.py

# The dashboards' types, series, links and thresholds, and each of their queries on a live pipeline.
dashboards:
	tests/programs/install.sh
	tests/dashboards/check.sh
	cargo build --release --locked
	VMINSIGHTS_EXPORTER=$(RELEASE) python3 tests/dashboards/live_test.py

# Dockerfile, compose, Kubernetes, systemd and Azure files; none of those is started.
deploy:
	tests/programs/install.sh
	tests/deploy/install.sh
	tests/deploy/check.sh

deny: $(CARGO_DENY)
	$(CARGO_DENY) check bans licenses sources

$(CARGO_DENY):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root .tools/cargo-deny

# Writes what is generated.
docs:
	UPDATE_DOCS=1 cargo test --locked --test docs

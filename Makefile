# The README's second command. CI runs exactly this.
.PHONY: test
test:
	cargo fmt --check
	cargo test --locked

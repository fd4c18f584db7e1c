# Short names; nothing needs them. What a step does stands in .ci/run.

_list:
    @just --list

# everything that a change must pass
gate:
    .ci/run

# the fast part: formatting, lints, licences, layers
check:
    .ci/run format lint policy

# the tests, system tests included (as root)
test:
    .ci/run tests

# each fuzz target for so many seconds
fuzz seconds="600":
    FUZZ_SECONDS={{ seconds }} .ci/run fuzz

# measure; `just bench NAME` runs the benches whose name contains NAME
bench *filter:
    cargo bench --package chunk-benches --locked -- {{ filter }}

# known vulnerabilities of the dependencies; apart from the gate, because it changes without a commit
advisories:
    cargo deny --locked check advisories

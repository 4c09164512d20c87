#!/usr/bin/env python3
"""Runs `cargo bench --bench kql` and then the same queries over the same rows in DuckDB.

Both take one thread and the median of five; each answer is made whole in memory. Needs `duckdb`:
`python3 -m venv .tools/bench && .tools/bench/bin/pip install duckdb==2.0.1`, then
`.tools/bench/bin/python benches/kql_duckdb.py`.
"""

import pathlib
import statistics
import subprocess
import tempfile
import time

import duckdb

RUNS = 5
# By the names that benches/kql.rs gives them.
QUERIES = {
    "filter, count by three": """
        SELECT Computer, IndicatorThreatType, DestinationPort, count(*) FROM VMConnection
        WHERE IndicatorThreatType <> '' GROUP BY ALL""",
    "arg_max by three": """
        SELECT Computer, ProcessName, DestinationPort, max(TimeGenerated),
            arg_max(BytesSent, TimeGenerated)
        FROM VMConnection GROUP BY ALL""",
    "arg_max of all columns by three": """
        SELECT unnest(arg_max(row, TimeGenerated)) FROM VMConnection AS row
        GROUP BY Computer, ProcessName, DestinationPort""",
}


def ours(csv):
    """Milliseconds by query, and the number of rows; writes the rows to `csv`."""
    command = ["cargo", "bench", "--quiet", "--bench", "kql", "--", csv]
    root = pathlib.Path(__file__).parent.parent
    output = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [line.split("\t") for line in output.splitlines()]
    rows = int(lines[0][0].split(" ")[0])
    print(lines[0][0])
    return {line[1]: float(line[2].split(" ")[0]) for line in lines if line[0] == "ours"}, rows


def theirs(csv):
    """Milliseconds by query."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    # Empty cells are empty texts, as in the tables of a workspace.
    connection.execute(
        f"CREATE TABLE VMConnection AS FROM read_csv('{csv}', header = true, nullstr = 'null')"
    )
    medians = {}
    for name, sql in QUERIES.items():
        times = []
        for _ in range(RUNS):
            begun = time.perf_counter()
            connection.execute(f"CREATE OR REPLACE TEMP TABLE answer AS {sql}")
            times.append((time.perf_counter() - begun) * 1000)
        medians[name] = statistics.median(times)
    return medians


def main():
    with tempfile.TemporaryDirectory() as folder:
        csv = f"{folder}/rows.csv"
        mine, rows = ours(csv)
        other = theirs(csv)
    print(f"DuckDB {duckdb.__version__}")
    print("| query | ours, ms | million rows/s | DuckDB, ms | million rows/s |")
    print("|---|---|---|---|---|")
    for name, sql_ms in other.items():
        ms = mine[name]
        rates = [f"{rows / one / 1000:.1f}" for one in (ms, sql_ms)]
        print(f"| {name} | {ms:.0f} | {rates[0]} | {sql_ms:.0f} | {rates[1]} |")


if __name__ == "__main__":
    main()

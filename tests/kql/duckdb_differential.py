#!/usr/bin/env python3
"""Answers queries with duckdb-kql and compares with our engine's answers.

Reads {"tables": {name: table}, "queries": {name: {"text", "answer": table}}} on stdin, where a table
is {"columns": [[name, type]], "rows": [[cell]]} with moments and lengths of time in ticks of 100 ns.
Differences that `duckdb_differences.txt` lists with a reason are fine. Ends with 1 if others are
found, or if a listed one is none.
"""

import datetime
import decimal
import json
import math
import pathlib
import sys
import uuid

import duckdb_kql

EPOCH = datetime.datetime(1, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)
SQL_TYPES = {
    "bool": "BOOLEAN", "int": "INTEGER", "long": "BIGINT", "real": "DOUBLE",
    "string": "VARCHAR", "datetime": "TIMESTAMP",
}


def fill(connection, name, table):
    """Makes the table in DuckDB."""
    columns = ", ".join(f'"{column}" {SQL_TYPES[kind]}' for column, kind in table["columns"])
    connection.execute(f'CREATE TABLE "{name}" ({columns})')
    places = ", ".join("?" for _ in table["columns"])
    for row in table["rows"]:
        cells = [
            EPOCH + cell // 10 * MICROSECOND if kind == "datetime" and cell is not None else cell
            for cell, (_, kind) in zip(row, table["columns"])
        ]
        connection.execute(f'INSERT INTO "{name}" VALUES ({places})', cells)


def theirs(cell, kind):
    """DuckDB's cell of this SQL type as our engine would write it, moments in microseconds."""
    if cell is None:
        return None
    if kind == "JSON":
        return plain(json.loads(cell))
    if isinstance(cell, datetime.datetime):
        return (cell.replace(tzinfo=None) - EPOCH) // MICROSECOND
    if isinstance(cell, datetime.timedelta):
        return cell // MICROSECOND
    if isinstance(cell, (decimal.Decimal, uuid.UUID)):
        return str(cell)
    return plain(cell)


def ours(cell, kind):
    if kind in ("datetime", "timespan") and cell is not None:
        return cell // 10
    return plain(cell)


def plain(cell):
    """Numbers alike to nine digits are equal, lists and bags compare by value."""
    if isinstance(cell, float) and math.isfinite(cell):
        return float(f"{cell:.9g}")
    if isinstance(cell, list):
        return [plain(one) for one in cell]
    if isinstance(cell, dict):
        return {key: plain(one) for key, one in sorted(cell.items())}
    return cell


def answer(connection, text):
    """Column names and rows as duckdb-kql gives them, or an error as text."""
    try:
        result = duckdb_kql.kql(connection, text)
        kinds = [str(kind) for kind in result.types]
        rows = [[theirs(cell, kind) for cell, kind in zip(row, kinds)] for row in result.fetchall()]
        return list(result.columns), rows
    except Exception as error:  # pylint: disable=broad-except
        return f"{type(error).__name__}: {error}".splitlines()[0]


def difference(text, expected, found):
    """What differs, or None."""
    if isinstance(found, str):
        return found
    columns, rows = found
    names = [name for name, _ in expected["columns"]]
    if names != columns:
        return f"columns: ours {names}, theirs {columns}"
    kinds = [kind for _, kind in expected["columns"]]
    own = [[ours(cell, kind) for cell, kind in zip(row, kinds)] for row in expected["rows"]]
    if not any(operator in text for operator in ("order by", "top ", "range ")):
        own.sort(key=repr_of_row)
        rows.sort(key=repr_of_row)
    for at, (mine, other) in enumerate(zip(own, rows)):
        if mine != other:
            return f"row {at}: ours {mine}, theirs {other}"
    return None if len(own) == len(rows) else f"ours {len(own)} rows, theirs {len(rows)}"


def repr_of_row(row):
    """A key that 1 and 1.0 share."""
    numbers = (bool, str, type(None), list, dict)
    return json.dumps([cell if isinstance(cell, numbers) else float(cell) for cell in row])


def listed():
    """`name: why` by line; `#` begins a note."""
    path = pathlib.Path(__file__).with_name("duckdb_differences.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(": ", 1) for line in lines if line and not line.startswith("#"))
    return {name: why.strip() for name, why in pairs}


def main():
    asked = json.load(sys.stdin)
    connection = duckdb_kql.connect()
    for name, table in asked["tables"].items():
        fill(connection, name, table)
    known = listed()
    faults = [f"{name}: is no query" for name in known if name not in asked["queries"]]
    explained = 0
    for name, query in asked["queries"].items():
        found = difference(query["text"], query["answer"], answer(connection, query["text"]))
        if found and name not in known:
            faults.append(f"{name}: {found}")
        elif not found and name in known:
            faults.append(f"{name}: listed as a difference, and is none")
        explained += bool(found) and name in known
    total = len(asked["queries"])
    print(f"duckdb-kql: {total} queries, {explained} explained differences, {len(faults)} others")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""The committed table: what is refused on which architecture and why, and what the strongest setting removes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from engine import available_methods
from tests.architectures.matrix import FORMS, STRENGTHS, Case, Outcome

FILE = Path(__file__).with_name("refusals.json")
ALL = "all"
REMOVERS = {m.name: m.default_form for m, f in FORMS if f.name == m.default_form and f.effect.changes - {"values"}}
NEAR = 0.01  # shares of removed parameters that differ by less are the same
AGAIN = "python -m tests.architectures"
Row = tuple[str, str, str, str, str, str]  # architecture, method, form, strength, status, reason


@dataclass
class Table:
    """Rows for what was not accepted; for each architecture the share that each remover's default form takes away.

    A row's form or strength is "all" where all of the method's give the same.
    """

    rows: list[Row] = field(default_factory=list)
    removed: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Table:
        """The committed one."""
        plain = json.loads(FILE.read_text("utf-8"))
        return cls([tuple(row) for row in plain["rows"]], plain["removed"])  # type: ignore[misc]

    def write(self) -> None:
        """Sorted, a row a line."""
        rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in sorted(self.rows))
        shares = ",\n".join(
            f"  {json.dumps(n)}: {json.dumps(s, sort_keys=True)}" for n, s in sorted(self.removed.items())
        )
        FILE.write_text('{"rows": [\n' + rows + '\n], "removed": {\n' + shares + "\n}}\n", "utf-8")

    def put(self, name: str, found: Iterable[Outcome]) -> None:
        """Put in all outcomes of an architecture in place of those that it had."""
        found = list(found)
        self.rows = [row for row in self.rows if row[0] != name] + rows_of(name, found)
        self.removed[name] = {
            one.case.method: round(one.removed, 4)
            for one in found
            if REMOVERS.get(one.case.method) == one.case.form and one.case.strength == STRENGTHS[-1]
        }

    def row(self, case: Case) -> Row | None:
        """What it says of a case; None where that is accepted."""
        for row in self.rows:
            if (
                row[:2] == (case.architecture, case.method)
                and row[2] in (case.form, ALL)
                and row[3] in (case.strength, ALL)
            ):
                return row
        return None

    def refusing(self, method: str, forms: Iterable[str] = ()) -> set[str]:
        """The architectures on which a method, or one of these forms of it, is not accepted at each strength."""
        wanted = {ALL, *(forms or (f.name for f in available_methods()[method].forms))}
        return {row[0] for row in self.rows if row[1] == method and row[2] in wanted}

    def differences(self, found: Iterable[Outcome]) -> list[str]:
        """A sentence for each outcome that is another than it says."""
        said = []
        for one in found:
            row = self.row(one.case)
            here = None if one.status == "accepted" else (one.status, one.reason)
            there = None if row is None else row[4:]
            if here != there:
                said.append(f"{one.case}: it was {there or 'accepted'}, and is {here or 'accepted'}; {AGAIN}")
            known = self.removed.get(one.case.architecture, {}).get(one.case.method)
            counted = REMOVERS.get(one.case.method) == one.case.form and one.case.strength == STRENGTHS[-1]
            if counted and known is not None and abs(known - one.removed) > NEAR:
                said.append(f"{one.case}: it removed {known:.3f}, and removes {one.removed:.3f}; {AGAIN}")
        return said


def rows_of(name: str, found: Iterable[Outcome]) -> list[Row]:
    """The rows for all outcomes of an architecture, as few as say it."""
    by_form: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for one in found:
        if one.status != "accepted":
            by_form.setdefault((one.case.method, one.case.form), {})[one.case.strength] = one.status, one.reason
    rows: list[Row] = []
    for (method, form), by_strength in by_form.items():
        same = len(by_strength) == len(STRENGTHS) and len(set(by_strength.values())) == 1
        told = {ALL: next(iter(by_strength.values()))} if same else by_strength
        rows += [(name, method, form, strength, *why) for strength, why in told.items()]
    for method in {row[1] for row in rows}:
        own = [row for row in rows if row[1] == method]
        forms = len(available_methods()[method].forms)
        if forms > 1 and len(own) == forms and len({row[3:] for row in own}) == 1 and own[0][3] == ALL:
            rows = [row for row in rows if row[1] != method] + [(name, method, ALL, *own[0][3:])]
    return rows

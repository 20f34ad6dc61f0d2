"""Choose samples by a query, such as "label == 'positive' and AU12 >= 0.2"."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import reduce
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from miex.arguments import shown
from miex.aus.vector import AU_NUMBERS, N_AUS
from miex.dataset.schema import FACES_SCHEMA, MEASURE_COLUMNS, PLAN_SCHEMA
from miex.errors import UsageError
from miex.labels import Label
from miex.storage.documents import read_bytes

if TYPE_CHECKING:
    from miex.dataset.reader import Dataset

_MOST_SHOWN = 20  # values in a message
_MOST_PART = 200  # characters of a part of a query in one
_MOST_LIST = 256 * 2**20  # bytes of a file of values: some 10 million sample ids
# a text in quotes, in which @ is a sign like others; or a file, in quotes if its name has spaces or brackets
_FILE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|@(?P<file>'[^']+'|"[^"]+"|[^\s'"()\[\]{},]+)""")
_GRAMMAR = "comparisons (== != < <= > >=, in, not in) of columns, joined by and, or, not, with parentheses"
_COMPARED: Final = {
    ast.Eq: pc.equal, ast.NotEq: pc.not_equal, ast.Lt: pc.less, ast.LtE: pc.less_equal, ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}  # fmt: skip
_MIRRORED: Final = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
_SAME: Final = {ast.Is: "==", ast.IsNot: "!="}
_OF_AUS: Final = {f"AU{au}": i for i, au in enumerate(AU_NUMBERS)}
_TEXT, _NUMBER, _TRUTH = "text", "a number", "True or False"
_MEANT: Final = tuple(  # how signs are written elsewhere, outside texts in quotes, and what is meant
    (re.compile(pattern), sign)
    for pattern, sign in (
        (r"[=!]=\s*not\b|<>|=!|\b(?!and\b|or\b|not\b|is\b)\w+\s+not\s+(?!in\b)", "!="),
        ("=>", ">="), ("=<", "<="), (r"===|(?<![=!<>])=(?!=)", "=="), ("!(?!=)", "not"), (r"&|\bAND\b", "and"),
        (r"\||\bOR\b", "or"), (r"\bNOT\b", "not"), (r"\bIN\b", "in"), ("[“”„‘’`´]", "straight quotes"),
    )
)  # fmt: skip
_NAMED = {"true": True, "false": False}  # for those who write SQL, or JSON


def _kind(kind: pa.DataType) -> str | None:
    if pa.types.is_string(kind):
        return _TEXT
    if pa.types.is_boolean(kind):
        return _TRUTH
    return None if pa.types.is_nested(kind) else _NUMBER


_LEFT_OUT = {"seed", "virtual_seed", "path", "sha256"}  # nobody chooses by these; photo is the sha256's beginning
_OF_SAMPLES: Final = {
    name: kind
    for name, kind in (
        *((field.name, _kind(field.type)) for field in PLAN_SCHEMA),
        *((column.name, _kind(column.type)) for column in MEASURE_COLUMNS),
    )
    if kind and name not in _LEFT_OUT
}
_OF_FACES: Final = {
    field.name: kind
    for field in FACES_SCHEMA
    if (kind := _kind(field.type)) and field.name not in {*_OF_SAMPLES, *_LEFT_OUT}
}
_KINDS: Final = {**_OF_SAMPLES, **_OF_FACES, **dict.fromkeys(_OF_AUS, _NUMBER), "label": _TEXT}
COLUMNS = f"{', '.join(_OF_SAMPLES)}; of its face: {', '.join(_OF_FACES)}; coded AUs at the apex: {', '.join(_OF_AUS)}"


class Rows:
    """The rows of a set that meet conditions.

    Args:
        dataset: the set, or a selection of it.
        asked: what was asked for, for messages.
        lists: whether queries may name files (`in @FILE`), which are then read.
    """

    def __init__(self, dataset: Dataset, asked: str, *, lists: bool = True) -> None:
        self._dataset, self._asked, self._lists = dataset, asked, lists
        self._text = ""
        self._files: dict[int, str] = {}
        self._used: dict[str, Any] = {}
        self._there: dict[str, list[str]] = {}

    def places(self, condition: pc.Expression) -> npt.NDArray[np.int64]:
        """Where the samples are for which a condition holds, ascending."""
        rows = pa.table({**self._used, "": np.arange(len(self._dataset))}).filter(condition)
        return np.asarray(rows[""].to_numpy(), np.int64)

    def matching(self, condition: pc.Expression) -> Dataset:
        """The samples for which a condition holds, in their order."""
        chosen: Dataset = self._dataset[self.places(condition)]
        return chosen

    def query(self, text: str) -> pc.Expression:
        """The condition that a query states. Raises UsageError where it is none."""
        self._text = text.replace("\n", " ").strip()
        self._files = {}
        try:
            return self._condition(ast.parse(_FILE.sub(self._stand_in, self._text), mode="eval").body)
        except SyntaxError as error:
            raise self._wrong(_GRAMMAR, f"{error.msg}, at character {error.offset or 1}") from None
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:  # a null character; nested too deep
            raise self._wrong(_GRAMMAR, str(error) or "more than can be read") from None

    def _stand_in(self, found: re.Match[str]) -> str:
        """A name of underscores in the place of `@FILE`, as long as that, so that all others keep their places."""
        if found["file"] is None:  # a text in quotes
            return found[0]
        file = found["file"]
        self._files[len(self._text[: found.start()].encode())] = file[1:-1] if file[0] in "\"'" else file
        return "_" * len(found[0].encode())

    def _listed(self, name: str, file: str, at: ast.expr) -> pc.Expression:
        """The condition that a column of text has one of the lines of a file."""
        if not self._lists:
            raise self._wrong("a list, such as ['…', '…']: files are not read here", f"@{file}", at)
        if _KINDS[name] != _TEXT:
            raise self._wrong(f"a list, such as {name} in [0.1, 0.2]: files list texts", f"@{file}", at)
        try:
            lines = read_bytes(Path(file).expanduser(), _MOST_LIST).decode("utf-8-sig").split("\n")
        except (OSError, ValueError, RuntimeError) as error:
            raise self._wrong("a text file with one value a line", f"@{file}: {error}", at) from error
        column, there = self._column(name), set(self._values_there(name))
        values = list(filter(None, map(str.strip, lines)))
        unknown = next((value for value in values if value not in there), None)
        if unknown is not None:
            raise self._wrong(f"values of {name} in @{file}", f"no sample whose {name} is {shown(unknown)}", at)
        return pc.is_in(column, pa.array(values, self._used[name].type))

    def one_of(self, name: str, values: Iterable[Any], at: ast.expr | None = None) -> pc.Expression:
        """The condition that a column has one of these values.

        Raises:
            UsageError: a value of another kind; or a text that no sample has, with those that occur.
        """
        taken = [self._value(name, value, at) for value in values]
        return pc.is_in(self._column(name), pa.array(taken, self._used[name].type))  # of null, False

    def _condition(self, node: ast.expr) -> pc.Expression:
        match node:
            case ast.BoolOp():
                join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
                return reduce(join, map(self._condition, node.values))
            case ast.UnaryOp(op=ast.Not()):
                return ~self._condition(node.operand)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                pairs = zip(sides, node.ops, sides[1:], strict=False)
                return reduce(operator.and_, (self._compared(*pair) for pair in pairs))
            case ast.Name() if _KINDS.get(node.id) == _TRUTH:
                return pc.coalesce(self._column(node.id), pc.scalar(False))
            case ast.Name():
                self._known(node)
                raise self._wrong(f"a comparison, such as {node.id} == …", f"{node.id} alone", node)
            case ast.Constant():
                raise self._wrong("comparisons; with several values: label in ['…', '…']", self._part(node), node)
            case _:
                raise self._wrong(_GRAMMAR, self._part(node), node)

    def _compared(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> pc.Expression:
        if not isinstance(left, ast.Name) and isinstance(right, ast.Name) and not isinstance(sign, ast.In | ast.NotIn):
            left, right = right, left
            sign = _MIRRORED.get(type(sign), type(sign))()
        if not isinstance(left, ast.Name):
            raise self._wrong("a column beside each sign", self._part(left), left)
        name, kind = left.id, self._known(left)
        if isinstance(sign, ast.In | ast.NotIn):
            if isinstance(right, ast.Name) and right.col_offset in self._files:
                found = self._listed(name, self._files[right.col_offset], right)
                return ~found if isinstance(sign, ast.NotIn) else found
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self._wrong(f"a list, such as {name} in ['…', '…']", self._part(right), right)
            listed = [self.one_of(name, [self._constant(one)], one) for one in right.elts]
            found = reduce(operator.or_, listed, pc.scalar(False))
            return ~found if isinstance(sign, ast.NotIn) else found
        column = isinstance(right, ast.Name) and right.id in _KINDS
        value = right if column else self._constant(right)
        if value is None:  # what is unknown: == None, or is None
            empty = self._column(name).is_null()
            return ~empty if isinstance(sign, ast.NotEq | ast.IsNot) else empty
        if type(sign) not in _COMPARED or (kind != _NUMBER and not isinstance(sign, ast.Eq | ast.NotEq)):
            signs = "==, !=, in or not in" if kind != _NUMBER else "==, !=, <, <=, >, >=, in or not in"
            near = [_SAME[type(sign)]] if type(sign) in _SAME else []
            raise self._wrong(f"{signs} beside {name}, which is {kind}", self._part(right), right, *near)
        if isinstance(value, ast.Name):
            if self._known(value) != kind or "label" in (name, value.id):
                raise self._wrong(f"a column of {kind}, as {name} is", value.id, right)
            other = self._column(value.id)
        else:
            other = pc.scalar(self._value(name, value, right))
        # what is not known equals nothing, so that "not" and "!=" say the same
        return pc.coalesce(_COMPARED[type(sign)](self._column(name), other), pc.scalar(isinstance(sign, ast.NotEq)))

    def _constant(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=str() | int() | float() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)):
                return -value if isinstance(sign, ast.USub) else value
            case ast.Name(id=name) if name in _NAMED:
                return _NAMED[name]
            case ast.Name():
                raise self._wrong(
                    f"a value or a column; texts stand in quotes: '{self._part(node)}'", self._part(node), node
                )
            case _:
                raise self._wrong("a text in quotes, or a number", self._part(node), node)

    def _value(self, name: str, value: Any, at: ast.expr | None) -> Any:
        """A value as the column holds it."""
        kind, truth = _KINDS[name], isinstance(value, bool)
        if name == "label" and isinstance(value, Integral) and not truth:
            value = Label(int(value)).name if value in list(Label) else str(value)
        right: Any = {_TEXT: str, _TRUTH: bool, _NUMBER: Real}[kind]
        if not isinstance(value, right) or (kind == _NUMBER and truth):
            raise self._wrong(f"{kind} beside {name}", shown(value), at)
        if kind == _NUMBER:
            return float(value)
        if kind == _TEXT:
            there = self._values_there(name)
            if value not in there:
                listed = ", ".join(there[:_MOST_SHOWN]) + (f", … ({len(there):,})" if len(there) > _MOST_SHOWN else "")
                near = _near(str(value), there)
                none = f"nothing: no sample has a {name}" if len(self._dataset) else "a set that is not empty"
                expected = f"one of {listed}" if there else none
                raise self._wrong(expected, f"no sample whose {name} is {shown(value)}", at, *near)
        return value

    def _values_there(self, name: str) -> list[str]:
        """The texts that occur in a column, sorted."""
        if name not in self._there:
            self._column(name)
            self._there[name] = sorted(filter(None, self._used[name].unique().to_pylist()))
        return self._there[name]

    def _known(self, node: ast.Name) -> str:
        if node.id not in _KINDS:
            near = _near(node.id, _KINDS)
            raise self._wrong(f"a column: {COLUMNS}", f"{self._part(node)}, which is none", node, *near)
        return _KINDS[node.id]

    def _column(self, name: str) -> pc.Expression:
        if name not in self._used:
            values = self._values(name)
            self._used[name] = values.cast(pa.float64()) if _KINDS[name] == _NUMBER else values
        return pc.field(name)

    def _values(self, name: str) -> Any:
        table = self._dataset.table
        if name == "label":
            return pa.array([Label(label).name for label in table[name].to_pylist()], pa.string())
        if name in _OF_AUS:
            aus = table["aus"].combine_chunks()
            starts = np.cumsum([0, *pc.list_value_length(aus).to_pylist()])[:-1]
            vectors = aus.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, N_AUS)
            at_apex = vectors[starts + table["apex"].to_numpy(), _OF_AUS[name]]
            return pa.array(at_apex.astype(np.float64).round(6))  # so that 0.2 is 0.2
        if name in _OF_FACES:
            faces = self._dataset.identities
            found = faces[name].take(pc.index_in(table["identity"], faces["identity"].combine_chunks()))
            if _KINDS[name] == _TEXT:  # there "" is written for what is unknown, for which exports have None
                found = pc.if_else(pc.equal(found, ""), None, found)
            return found
        return table[name]

    def _part(self, node: ast.expr) -> str:
        part = ast.get_source_segment(self._text, node) or ast.unparse(node)
        return part if len(part) <= _MOST_PART else f"{part[:_MOST_PART]}…"

    def _wrong(self, expected: str, found: str, at: ast.expr | None = None, *near: str) -> UsageError:
        if at is not None:
            before = self._text.encode()[: at.col_offset].decode()  # Python counts bytes
            found += f", at character {len(before) + 1}"
        meant = [*near, *_meant(self._text)]
        return UsageError(self._asked, expected=expected, found=found, do=f"did you mean {meant[0]}?" if meant else "")


def _near(text: str, known: Iterable[str]) -> list[str]:
    """The most similar of the known texts, if one is, whatever their case."""
    lower = {one.lower(): one for one in known}
    return [lower[one] for one in get_close_matches(text.lower(), lower, 1)]


def _meant(text: str) -> list[str]:
    """The sign that is meant by the first wrong one, if there is one."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", text)
    found = [(match.start(), sign) for pattern, sign in _MEANT if (match := pattern.search(bare))]
    return [sign for _, sign in sorted(found, key=lambda one: one[0])[:1]]

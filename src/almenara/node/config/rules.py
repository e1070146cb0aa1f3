"""``[rules.<name>]``: one table per rule, made from ``incidents.thresholds``.

A field's first word is its table and the rest its key, a duration's with ``_s``:
``closing_sustained`` is ``[rules.closing] sustained_s``. So a threshold that is added
to the rules can be tuned, explained and found in the manual without a line here.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from almenara.incidents.thresholds import DEFAULT, Thresholds

DAY_S = 86_400.0
PARTS = ("_raise", "_clear", "_sure", "_progress", "_existence")
"""How the names of probabilities and shares end."""

FIXED = ("version",)
"""Says which defaults an alert was made by; whoever changes those raises it."""


def _texts() -> Mapping[str, str]:
    """The docstring under each field."""
    (cls,) = ast.parse(textwrap.dedent(inspect.getsource(Thresholds))).body
    body = cls.body if isinstance(cls, ast.ClassDef) else []
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def _key(name: str, value: object) -> tuple[str, str]:
    table, _, key = name.partition("_")
    return table, f"{key}_s" if isinstance(value, timedelta) else key


def _number(name: str, value: float | timedelta, text: str) -> tuple[Any, Any]:
    if isinstance(value, timedelta):
        top, default = DAY_S, value.total_seconds()
    else:
        top = 1.0 if name.endswith(PARTS) else 1e6
        default = float(f"{value:.4g}")
    limits = Field(ge=0, le=top, strict=True, description=text)
    return Annotated[float, limits], default


def _model() -> type[BaseModel]:
    settings = ConfigDict(frozen=True, extra="forbid")
    texts = _texts()
    tables: dict[str, dict[str, Any]] = {}
    for field in fields(Thresholds):
        if field.name not in FIXED:
            value = getattr(DEFAULT, field.name)
            table, key = _key(field.name, value)
            number = _number(field.name, value, texts.get(field.name, ""))
            tables.setdefault(table, {})[key] = number
    made: dict[str, Any] = {}
    for table, keys in tables.items():
        about = f"Thresholds: {table}."
        model = create_model(
            f"{table.title()}Rule", __config__=settings, __doc__=about, **keys
        )
        made[table] = (model, model())
    about = "Thresholds of the rules."
    return create_model("RulesConfig", __config__=settings, __doc__=about, **made)


if TYPE_CHECKING:
    from almenara.node.config.sections import Config

    RulesConfig = BaseModel
else:
    RulesConfig = _model()


def limits_of(config: "Config") -> Thresholds:
    """The thresholds that the rules are asked with; what is not said is the default."""
    said: dict[str, Any] = {}
    for field in fields(Thresholds):
        value = getattr(DEFAULT, field.name)
        table, key = _key(field.name, value)
        chosen = getattr(config.rules, table, None)
        if field.name in FIXED or chosen is None or key not in chosen.model_fields_set:
            continue
        number = getattr(chosen, key)
        is_duration = isinstance(value, timedelta)
        said[field.name] = timedelta(seconds=number) if is_duration else number
    return replace(DEFAULT, **said)

"""Finding what a request asks for: by the name that it gives, by its scope, or by default."""

from collections.abc import Iterator, Sequence
from itertools import chain as each_of
from uuid import UUID

from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.routing import Complexity, Scope, Strategy
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import MalformedRequestError, ModelNotFoundError, ScopeNotPermittedError
from modelbus.router.naming import meanings
from modelbus.router.naming.meanings import AUTO, Meaning

_UUID_LENGTH = 36
_DEFAULT_TYPES = 2
"""Of the types that a path takes, the first ones are what it is for."""
_NAMES_OF_AUTO = (AUTO, "default")


def scope_of(table: Table, name: str, caller: AccessKey) -> Scope:
    """Find the scope of that name, which the caller must be allowed to name.

    Raises:
        ScopeNotPermittedError: there is none, it is not active, or it is not for this caller.
    """
    for scope in table.scopes.found("name", name):
        if scope.is_active and caller.permits_scope(scope.id):
            return scope
    raise ScopeNotPermittedError(name)


def resolve(table: Table, model: str, scope: Scope | None, types: Sequence[str]) -> Meaning:
    """Answer what the model of a request means, which is empty where it names none; `types` are those of its path.

    Raises:
        ModelNotFoundError: nothing bears that name.
        MalformedRequestError: no model is named, and none is the default.
    """
    return named(table, model, scope) if model else unnamed(table, scope, types)


def named(table: Table, name: str, scope: Scope | None = None) -> Meaning:
    """Find what bears a name: a model, alias, id, chain, split, complexity routing, and last a cost strategy.

    Raises:
        ModelNotFoundError: nothing does.
    """
    for kind, index in (("model", "name"), ("alias", "alias")):
        for model in table.models.found(index, name):
            return meanings.of_model(model, kind)
    if len(name) == _UUID_LENGTH and (by_id := table.models.get(_uuid(name))):
        return meanings.of_model(by_id, "id")
    if configured := _configured(table, name):
        return configured
    for strategy in table.strategies.found("name", name):
        model_ids = scope.model_ids if strategy.model_ids is None and scope else strategy.model_ids
        # Without models of its own it would have to look at the whole catalog for each request.
        if strategy.is_active and model_ids is not None:
            return meanings.of_pool("strategy", strategy, strategy.id, model_ids)
    raise ModelNotFoundError(name)


def unnamed(table: Table, scope: Scope | None, types: Sequence[str]) -> Meaning:
    """Answer what serves a request that names no model: the scope's default, or its strategy's choice, or the type's.

    Raises:
        MalformedRequestError: there is no default.
    """
    if scope is None:
        for model_type in types[:_DEFAULT_TYPES]:
            for model in table.models.found("default", model_type):
                return meanings.of_default(model)
        raise MalformedRequestError(
            f"you must provide a model: none of type {' or '.join(types[:_DEFAULT_TYPES])} is the default", "model"
        )
    if scope.default_model_id is not None:
        return meanings.of_scope(scope.id, scope.name, scope.default_model_id)
    if strategy := strategy_of(table, scope):
        chosen = scope.model_ids
        if strategy.model_ids is not None:
            chosen = tuple(each for each in chosen if each in strategy.model_ids)
        return meanings.of_pool("scope", strategy, scope.id, chosen)
    raise MalformedRequestError(f"you must provide a model: the scope {scope.name!r} has no default", "model")


def all_named(table: Table) -> Iterator[Meaning]:
    """Answer everything that can be called by a name, each name once: what comes first when it is called."""
    auto = auto_of(table)
    by_rank = each_of(
        (meanings.of_model(each, "model") for each in table.models.all()),
        (meanings.of_chain(each) for each in table.chains.all() if each.is_active),
        (meanings.of_split(each) for each in table.splits.all() if each.is_active),
        (meanings.of_complexity(each, each.name) for each in table.complexities.all() if each.is_active),
        () if auto is None else (meanings.of_complexity(auto, AUTO),),
        (
            meanings.of_pool("strategy", each, each.id, each.model_ids)
            for each in table.strategies.all()
            if each.is_active and each.model_ids is not None
        ),
    )
    seen: set[str] = set()
    for meaning in by_rank:
        if meaning.name not in seen:
            seen.add(meaning.name)
            yield meaning


def strategy_of(table: Table, scope: Scope | None) -> Strategy | None:
    """Answer the strategy in force in the scope."""
    if scope is None or scope.strategy_id is None:
        return None
    strategy = table.strategies.get(scope.strategy_id)
    return strategy if strategy is not None and strategy.is_active else None


def auto_of(table: Table) -> Complexity | None:
    """Answer what `auto` means: the complexity routing of that name, or called `default`, or else the oldest."""
    for name in _NAMES_OF_AUTO:
        for complexity in table.complexities.found("name", name):
            if complexity.is_active:
                return complexity
    return next(iter(table.complexities.found("state", "active")), None)


def _configured(table: Table, name: str) -> Meaning | None:
    for chain in table.chains.found("name", name):
        if chain.is_active:
            return meanings.of_chain(chain)
    for split in table.splits.found("name", name):
        if split.is_active:
            return meanings.of_split(split)
    complexity = _complexity(table, name)
    return None if complexity is None else meanings.of_complexity(complexity, name)


def _complexity(table: Table, name: str) -> Complexity | None:
    if name == AUTO:
        return auto_of(table)
    return next((each for each in table.complexities.found("name", name) if each.is_active), None)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)

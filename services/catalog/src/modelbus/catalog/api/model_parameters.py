"""Parameters of models over REST: what requests get that name no value, and which values they may name."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field, FiniteFloat

from modelbus.catalog.actions import models as actions
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.model_names import Model, key_of
from modelbus.catalog.api.views import Input, Shown, View
from modelbus.catalog.domain.models import ParameterType
from modelbus.catalog.domain.parameters import MOST_CHOICES, MOST_PARAMETERS, Parameter
from modelbus.catalog.store import models as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=OnceRoute, dependencies=GUARDS)

_NAME = {"pattern": r"^[A-Za-z_][A-Za-z0-9_.-]*$", "min_length": 1, "max_length": 100}
ParameterName = Annotated[str, Field(description="As in the body of a request, for instance `temperature`.", **_NAME)]
NamedParameter = Annotated[str, Path(description="The parameter's name, for instance `temperature`.", **_NAME)]


class ParameterValues(Input):
    """What a parameter takes; every value is checked against its type."""

    parameter_type: ParameterType
    default: Any = None
    """Given to requests that leave it out; null leaves it to the supplier."""
    minimum: FiniteFloat | None = None
    """For numbers alone."""
    maximum: FiniteFloat | None = None
    """For numbers alone."""
    choices: Annotated[list[Any], Field(min_length=1, max_length=MOST_CHOICES)] | None = None
    """The only values that may be given; null leaves it open."""


class NewParameter(ParameterValues):
    """A parameter of requests to a model."""

    name: ParameterName


Parameters = Annotated[list[NewParameter], Field(max_length=MOST_PARAMETERS)]


class NewParameters(Input):
    """All parameters that a model has."""

    parameters: Parameters


class ParameterView(View):
    """A parameter of requests to a model."""

    name: str
    parameter_type: str
    default: Any
    minimum: float | None
    maximum: float | None
    choices: list[Any] | None


class ParametersView(View):
    """The parameters of one model."""

    id: UUID
    """The model's."""
    parameters: list[ParameterView]
    version: int
    """The model's; the ETag."""


@routes.get("/{model:path}/parameters")
async def list_parameters(model: Model, session: Reading, answer: Shown) -> ParametersView:
    """List the parameters of a model."""
    return answer(ParametersView, await store.get_model(session, key_of(model)))


@routes.put("/{model:path}/parameters")
async def replace_parameters(model: Model, new: NewParameters, session: Transaction, answer: Shown) -> ParametersView:
    """Set all parameters of a model in place of those that it had."""
    return answer(ParametersView, await actions.change_model(session, key_of(model), new.model_dump()))


@routes.post("/{model:path}/parameters", status_code=201)
async def add_parameter(model: Model, new: NewParameter, session: Transaction, answer: Shown) -> ParametersView:
    """Add a parameter to a model."""
    added = await actions.add_parameter(session, key_of(model), Parameter(**new.model_dump()))
    return answer(ParametersView, added)


@routes.put("/{model:path}/parameters/{name}")
async def set_parameter(
    model: Model, name: NamedParameter, values: ParameterValues, session: Transaction, answer: Shown
) -> ParametersView:
    """Set a parameter of a model, whether or not it has one of that name."""
    changed = await actions.set_parameter(session, key_of(model), Parameter(name=name, **values.model_dump()))
    return answer(ParametersView, changed)


@routes.delete("/{model:path}/parameters/{name}", status_code=204)
async def remove_parameter(model: Model, name: NamedParameter, session: Transaction) -> None:
    """Take a parameter from a model; it is left to the supplier then."""
    await actions.remove_parameter(session, key_of(model), name)

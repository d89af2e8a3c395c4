"""What is refused to who configures models."""

from collections.abc import Sequence
from uuid import UUID

from modelbus.catalog.domain.errors import Refusal


class WrongParametersError(Refusal):
    """The values of a parameter are not of its type, or contradict each other."""

    code = "wrong_parameters"

    def __init__(self, errors: Sequence[dict[str, str]]) -> None:
        super().__init__("; ".join(f"{error['field']}: {error['message']}" for error in errors[:5]))
        self.errors = list(errors)


class WrongSuccessorError(Refusal):
    """A model is to be replaced by itself, at once or by way of others."""

    code = "wrong_successor"

    def __init__(self, field: str, name: str) -> None:
        super().__init__(f"{field}: model {name!r} would come to be replaced by itself")
        self.errors = [{"field": field, "message": "must be a model that does not lead back to this one"}]


class WrongLifecycleError(Refusal):
    """The dates of a model's life contradict each other."""

    code = "wrong_lifecycle"

    def __init__(self) -> None:
        super().__init__("retires_at: a model can't retire before it is deprecated")
        self.errors = [{"field": "retires_at", "message": "must not be before deprecated_at"}]


class DefaultModelError(Refusal):
    """The default model of a type can't become one of another type."""

    code = "default_model"

    def __init__(self, name: str, model_type: str) -> None:
        super().__init__(f"model_type: {name!r} is the default model of type {model_type}; choose another first")
        self.errors = [{"field": "model_type", "message": f"must be {model_type} while it is the default"}]


class TooManyModelsError(Refusal):
    """One change is to touch more models than it may."""

    code = "too_many_models"

    def __init__(self, most: int) -> None:
        super().__init__(f"filter: this matches more than {most} models; narrow it")
        self.errors = [{"field": "filter", "message": f"must match at most {most} models"}]


class NoSuchParameterError(Refusal):
    """The model has no parameter of that name."""

    code = "not_found"

    def __init__(self, model: UUID, name: str) -> None:
        super().__init__(f"model {str(model)!r} has no parameter {name!r}")

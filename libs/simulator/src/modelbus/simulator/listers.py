"""Providers of which only the listing is simulated: Gemini, Ollama, AiHubMix, and files on a web server."""

import csv
import io
from abc import abstractmethod
from typing import Any, ClassVar

from modelbus.simulator.answers import Answer, Ask, Kind, RefusedError, Why
from modelbus.simulator.shape import Shape

_LARGEST_PAGE = 1000
_USUAL_PAGE = 50
_STATUSES = {Why.KEY_MISSING: 401, Why.KEY_WRONG: 401, Why.PATH_UNKNOWN: 404}


class Lister(Shape):
    """Lists models and does nothing else."""

    default_names = ("small", "large")

    def answer(self, ask: Ask) -> Answer:
        """Answer the listing, all of it or a page."""
        return self.answer_models(ask)

    @abstractmethod
    def answer_models(self, ask: Ask) -> Answer:
        """Answer the listing in the provider's shape."""

    def refusal(self, why: Why, about: str) -> Answer:
        """Refuse in plain words, as all of them do more or less."""
        words = about or why.name.lower().replace("_", " ")
        return Answer.of({"error": words}, _STATUSES.get(why, 400))

    def failure(self, status: int) -> Answer:
        """Fail in plain words."""
        return Answer.of({"error": f"The server answered {status}."}, status)


class Gemini(Lister):
    """generativelanguage.googleapis.com; the page token is where the next page begins."""

    name: ClassVar[str] = "gemini"
    prefix: ClassVar[str] = "/gemini/v1beta"
    routes = {"/models": ("GET", Kind.MODELS)}  # noqa: RUF012 - the base class says ClassVar

    def listed(self, model: str) -> dict[str, Any]:
        """Gemini puts `models/` before every name."""
        methods = ["generateContent", "countTokens"]
        limits = {"inputTokenLimit": 1048576, "outputTokenLimit": 65536}
        return {"name": f"models/{model}", "displayName": model, **limits, "supportedGenerationMethods": methods}

    def answer_models(self, ask: Ask) -> Answer:
        """One page, and the token of the next one if there is any."""
        size, first = _number(ask, "pageSize", _USUAL_PAGE), _number(ask, "pageToken", 0)
        end = first + max(1, min(size, _LARGEST_PAGE))
        page: dict[str, Any] = {"models": ask.listing.items[first:end]}
        if end < len(ask.listing.items):
            page["nextPageToken"] = str(end)
        return Answer.of(page)


class Ollama(Lister):
    """A machine with models on its disk, open to everybody."""

    name: ClassVar[str] = "ollama"
    prefix: ClassVar[str] = "/ollama"
    is_listing_open: ClassVar[bool] = True
    routes = {"/api/tags": ("GET", Kind.MODELS)}  # noqa: RUF012 - the base class says ClassVar

    def listed(self, model: str) -> dict[str, Any]:
        """Ollama names the tag, `latest` where nobody chose one."""
        name = model if ":" in model else f"{model}:latest"
        details = {"format": "gguf", "family": "llama", "families": None, "parameter_size": "7B"}
        return {"name": name, "model": name, "size": 3825819519, "details": details}

    def answer_models(self, ask: Ask) -> Answer:
        """All of them."""
        return Answer.of({"models": ask.listing.items})


class AiHubMix(Lister):
    """aihubmix.com; its listing is open, and beside the path of requests."""

    name: ClassVar[str] = "aihubmix"
    prefix: ClassVar[str] = "/aihubmix"
    is_listing_open: ClassVar[bool] = True
    routes = {"/api/v1/models": ("GET", Kind.MODELS)}  # noqa: RUF012 - the base class says ClassVar

    def listed(self, model: str) -> dict[str, Any]:
        """Lists are texts with commas, prices are numbers in dollars per million tokens."""
        words = {"desc": "", "types": "llm", "features": "tools", "input_modalities": "text"}
        return {"model_id": model, **words, "max_output": 0, "pricing": {"input": 1.5, "output": 6}}

    def answer_models(self, ask: Ask) -> Answer:
        """All of them."""
        return Answer.of({"success": True, "message": "", "data": ask.listing.items})


class Files(Lister):
    """A web server with the same models in a JSON and in a CSV file."""

    name: ClassVar[str] = "files"
    prefix: ClassVar[str] = "/files"
    is_listing_open: ClassVar[bool] = True
    routes = {  # noqa: RUF012 - the base class says ClassVar
        "/models.json": ("GET", Kind.MODELS),
        "/models.csv": ("GET", Kind.MODELS),
    }

    def listed(self, model: str) -> dict[str, Any]:
        """A file tells what its author wrote."""
        return {"id": model, "input_price": "0.5", "output_price": "2", "price_unit": "per_million"}

    def answer_models(self, ask: Ask) -> Answer:
        """The file that is asked for."""
        items = ask.listing.items
        if ask.path.endswith(".json"):
            return Answer.of({"models": items})
        columns = list(dict.fromkeys(name for item in items for name in item))
        lines = io.StringIO()
        writer = csv.DictWriter(lines, columns)
        writer.writeheader()
        writer.writerows(items)
        return Answer(lines.getvalue().encode(), content_type="text/csv; charset=utf-8")


def _number(ask: Ask, name: str, usual: int) -> int:
    given = ask.query.get(name, str(usual))
    if not (given.isascii() and given.isdigit() and len(given) < 10):  # noqa: PLR2004 - far more than any listing has
        raise RefusedError(Why.REQUEST_WRONG, f"{name}: must be a number")
    return int(given)

"""The capabilities and tags that a new catalog begins with; their ids are the same everywhere and for ever."""

from datetime import datetime
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.capabilities import Capability, DataType, Domain
from modelbus.catalog.domain.tag_rules import ContextAtLeast, FirstSeenWithin, HasCapability, Rule, TopByUsage, written
from modelbus.catalog.domain.tags import Tag

_TEXT, _IMAGE, _AUDIO, _VIDEO = DataType.TEXT, DataType.IMAGE, DataType.AUDIO, DataType.VIDEO
_FILE, _VECTOR, _SCORE = DataType.FILE, DataType.VECTOR, DataType.SCORE

type _Row = tuple[str, str, Domain, list[DataType], list[DataType], str]

# Only ever append: the place in the list makes the id.
_CAPABILITIES: tuple[_Row, ...] = (
    ("vision", "Vision", Domain.MULTIMODAL, [_TEXT, _IMAGE], [_TEXT], "Understands images."),
    ("tools", "Tools", Domain.NLP, [_TEXT], [_TEXT], "Calls the functions that a request offers."),
    ("structured_output", "Structured output", Domain.NLP, [_TEXT], [_TEXT], "Keeps to a JSON Schema."),
    ("json_mode", "JSON mode", Domain.NLP, [_TEXT], [_TEXT], "Answers in JSON, of any shape."),
    ("reasoning", "Reasoning", Domain.NLP, [_TEXT], [_TEXT], "Thinks before it answers."),
    ("web_search", "Web search", Domain.NLP, [_TEXT], [_TEXT], "Looks things up on the web by itself."),
    ("embeddings", "Embeddings", Domain.NLP, [_TEXT], [_VECTOR], "Makes vectors of texts."),
    ("rerank", "Rerank", Domain.NLP, [_TEXT], [_SCORE], "Puts texts in order of what they are worth to a query."),
    ("moderation", "Moderation", Domain.NLP, [_TEXT, _IMAGE], [_SCORE], "Judges whether content is harmful."),
    ("documents", "Documents", Domain.MULTIMODAL, [_TEXT, _FILE], [_TEXT], "Reads files such as PDF."),
    ("image_generation", "Image generation", Domain.CV, [_TEXT], [_IMAGE], "Makes images."),
    ("image_editing", "Image editing", Domain.CV, [_TEXT, _IMAGE], [_IMAGE], "Changes images."),
    ("video_generation", "Video generation", Domain.CV, [_TEXT, _IMAGE], [_VIDEO], "Makes videos."),
    ("video_understanding", "Video understanding", Domain.MULTIMODAL, [_TEXT, _VIDEO], [_TEXT], "Understands videos."),
    ("audio_input", "Audio input", Domain.MULTIMODAL, [_TEXT, _AUDIO], [_TEXT], "Understands speech and sounds."),
    ("speech_to_text", "Speech to text", Domain.AUDIO, [_AUDIO], [_TEXT], "Writes down what is said."),
    ("text_to_speech", "Text to speech", Domain.AUDIO, [_TEXT], [_AUDIO], "Reads texts aloud."),
)


def _id_of(group: int, place: int) -> UUID:
    """Answer a UUIDv7 of the beginning of time: before everything that is ever made, in order of the list."""
    return UUID(f"00000000-0000-7000-8000-{group:04x}{place:08x}")


_VISION, _REASONING = _id_of(1, 0), _id_of(1, 4)

_TAGS: tuple[tuple[str, str, str, Rule | None, str], ...] = (
    ("recommended", "Recommended", "#2563eb", None, "A good choice for most purposes."),
    ("popular", "Popular", "#db2777", TopByUsage(count=10, days=7), "Served the most requests of the last 7 days."),
    ("new", "New", "#16a34a", FirstSeenWithin(days=30), "Came within the last 30 days."),
    ("vision", "Vision", "#7c3aed", HasCapability(_VISION), "Understands images."),
    ("reasoning", "Reasoning", "#9333ea", HasCapability(_REASONING), "Thinks before it answers."),
    ("fast", "Fast", "#ea580c", None, "Answers quickly."),
    ("powerful", "Powerful", "#b91c1c", None, "For hard tasks."),
    ("economical", "Economical", "#65a30d", None, "Costs little."),
    ("long_context", "Long context", "#0891b2", ContextAtLeast(tokens=200_000), "Takes 200,000 tokens or more."),
)


def default_capabilities(now: datetime) -> list[Capability]:
    """Answer the capabilities to begin with."""
    return [
        Capability(
            id=_id_of(1, place),
            name=name,
            display_name=display_name,
            description=description,
            domain=domain,
            input_types=[*takes],
            output_types=[*gives],
            **_born(now),
        )
        for place, (name, display_name, domain, takes, gives, description) in enumerate(_CAPABILITIES)
    ]


def default_tags(now: datetime) -> list[Tag]:
    """Answer the tags to begin with."""
    return [
        Tag(
            id=_id_of(2, place),
            name=name,
            display_name=display_name,
            description=description,
            color=color,
            position=place,
            rule=None if rule is None else written(rule),
            **_born(now),
        )
        for place, (name, display_name, color, rule, description) in enumerate(_TAGS)
    ]


def _born(now: datetime) -> dict[str, Any]:
    return {"created_at": now, "updated_at": now, "deleted_at": None}

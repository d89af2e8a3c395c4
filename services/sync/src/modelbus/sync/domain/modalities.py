"""What goes into a model and what comes out, and what that says of its type and of what it can do."""

import re
from collections.abc import Collection, Iterable

MODALITIES = ("text", "image", "audio", "video", "file", "embedding", "rerank")
_SAME = {"embeddings": "embedding", "vector": "embedding", "pdf": "file", "document": "file", "score": "rerank"}
_SEPARATORS = re.compile(r"[,;|\s]+")
# What comes out names the model, if only one kind of thing does.
_TYPES = frozenset({"embedding", "image", "audio", "video", "rerank"})
_TAKEN = {"image": "vision", "audio": "audio_input", "video": "video_understanding", "file": "documents"}
_GIVEN = {"image": "image_generation", "video": "video_generation", "embedding": "embeddings", "rerank": "rerank"}


def words_of(given: object) -> list[str]:
    """Answer the words of a list of texts, or of one text with separators, in small letters; else none."""
    if isinstance(given, str):
        given = _SEPARATORS.split(given)
    if not isinstance(given, list):
        return []
    return [word for each in given if isinstance(each, str) and (word := each.strip().lower())]


def read_modalities(given: object) -> list[str]:
    """Answer the modalities among the words, in one order; a word that nobody knows says nothing."""
    words = {_SAME.get(word, word) for word in words_of(given)}
    return [modality for modality in MODALITIES if modality in words]


def arrow(taken: Collection[str], given: Collection[str]) -> str | None:
    """Answer what goes in and what comes out as one text, `text+image->text`; None where nothing is said."""
    return f"{'+'.join(taken)}->{'+'.join(given)}" if taken or given else None


def type_by(taken: Collection[str], given: Collection[str]) -> str | None:
    """Answer the type of a model that takes and gives these; None where nothing is said."""
    if not taken and not given:
        return None
    if len(given) == 1 and (only := next(iter(given))) in _TYPES:
        return only
    if not given or set(given) == {"text"}:
        if set(taken) <= {"text"}:
            return "language"
        if set(taken) == {"audio"}:
            return "audio"
    return "multimodal"


def abilities_by(taken: Collection[str], given: Collection[str]) -> set[str]:
    """Answer what a model that takes and gives these can do, in the words of the catalog's capabilities."""
    able = {_GIVEN[modality] for modality in given if modality in _GIVEN}
    if "text" in given:
        able |= {_TAKEN[modality] for modality in taken if modality in _TAKEN}
    if set(taken) == {"audio"} and set(given) == {"text"}:
        return {"speech_to_text"}
    if set(given) == {"audio"} and "text" in taken:
        able.add("text_to_speech")
    return able


def in_words(given: Iterable[str], meaning: dict[str, str]) -> set[str]:
    """Answer what of the supplier's words has a meaning in ours."""
    return {meaning[word] for word in given if word in meaning}

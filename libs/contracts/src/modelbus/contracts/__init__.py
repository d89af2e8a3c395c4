"""The words that services share: events, state records, streams and problems; pydantic and msgspec only."""

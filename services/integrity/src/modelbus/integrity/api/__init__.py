"""The administrator's door: what is stale, who refers to what, validation on demand."""

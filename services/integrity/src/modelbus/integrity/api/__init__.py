"""The administrator's door: what was found, who refers to what, validation on demand."""

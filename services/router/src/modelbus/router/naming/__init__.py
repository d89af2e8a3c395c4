"""Names: what the `model` of a request stands for, and which models that leaves."""

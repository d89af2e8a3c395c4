"""The router serves traffic from its own copy of the catalog; it owns its usage spool and nothing else."""

"""Rules of routing that need nothing else."""

"""What was used, from memory to disk to the bus."""

"""What every service stands on: database, outbox, bus, feed, problems, health, logs; it knows no service."""

"""How hard a request is, by what can be seen of its prompt, and which conversation it belongs to."""

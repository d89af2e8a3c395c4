"""What integrity can do: learn of a change, load its index anew, judge, and answer who refers to what."""

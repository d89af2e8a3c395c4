"""Runs all of Modelbus on one machine: servers and services as processes, started, watched and stopped in order."""

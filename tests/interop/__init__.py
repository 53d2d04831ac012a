"""Clients and listeners that are not ours, on the other end of the wire."""

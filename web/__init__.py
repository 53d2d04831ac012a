"""All that speaks HTTP. ``api/`` is the hospital network's face; the public one has its own port and folder."""

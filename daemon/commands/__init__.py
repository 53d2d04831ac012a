"""The commands: one file each, imported when it is called, so that ``doorstep send`` does not pay for a web server."""

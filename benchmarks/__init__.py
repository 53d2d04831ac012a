"""Where the README's numbers come from: run by hand, ``python -m benchmarks``, never by a timed test (SPEC 10).

What is compared is measured in the same run, in turns, by the same generator, on the same disk: a number alone says
little on a machine that others share, the ratio of two says much. How to run and how to read: ``benchmarks/README.md``.

The way of one measurement::

    feed.py            invented A28 messages, built before the clock starts
    load_generator.py  a process of its own that sends them and waits for each acknowledgment
    receivers.py       who receives: the real daemon, or a bare server (bare_servers.py) that stores nothing
    process_figures.py what it cost: memory and processor time, from /proc
    report.py          the table, for people and as JSON

Each benchmark is a module with ``run(bench: Workbench) -> Table``; ``__main__.py`` has them by name.
"""

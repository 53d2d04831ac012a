"""What doorstep counts, for Prometheus. Names, help texts and labels; no label ever takes a sender's content.

Gauges that are cheap to ask for are asked when the page is read; the rest is counted as it happens.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """All metrics of one daemon, in a registry of their own."""

    def __init__(self) -> None:
        # The creation times would double the page, for something that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = CollectorRegistry()
        own = self.registry
        self.connections = Gauge("doorstep_connections", "Open MLLP connections.", ["listener"], registry=own)
        self.connections_refused = Counter(
            "doorstep_connections_refused", "MLLP connections turned away.", ["listener", "reason"], registry=own
        )
        self.received_bytes = Counter(
            "doorstep_received_bytes", "Bytes received over MLLP.", ["listener"], registry=own
        )
        self.skipped_bytes = Counter(
            "doorstep_skipped_bytes", "Blanks, line ends and NULs skipped between frames.", ["listener"], registry=own
        )
        self.limits = Counter("doorstep_limits", "Times that a limit acted.", ["listener", "reason"], registry=own)
        self.messages = Counter(
            "doorstep_messages", "Messages committed, by outcome.", ["listener", "outcome"], registry=own
        )
        self.answers = Counter(
            "doorstep_answers",
            "Verdicts on messages (AA, AE, AR; none where none is due).",
            ["listener", "code"],
            registry=own,
        )
        self.batch_messages = Histogram(
            "doorstep_batch_messages", "Messages in one commit.", buckets=_BATCH_SIZES, registry=own
        )
        self.commit_seconds = Histogram(
            "doorstep_commit_seconds",
            "Time from the first statement of a batch to the end of its commit.",
            buckets=_SECONDS,
            registry=own,
        )
        self.storage_failures = Counter(
            "doorstep_storage_failures", "Batches that could not be stored.", ["code"], registry=own
        )
        self.internal_errors = Counter("doorstep_internal_errors", "Faults of doorstep's own.", ["part"], registry=own)
        self.ingest_backlog = Gauge("doorstep_ingest_backlog", "Messages that wait for the writer.", registry=own)
        self.invitations_issued = Counter(
            "doorstep_invitations_issued", "Invitations issued, by channel.", ["channel"], registry=own
        )
        self.deliveries = Counter(
            "doorstep_deliveries", "Attempts to deliver, by outcome.", ["channel", "outcome"], registry=own
        )
        self.outbox_entries = Gauge("doorstep_outbox_entries", "Outbox entries, by state.", ["state"], registry=own)
        self.outbox_oldest_seconds = Gauge(
            "doorstep_outbox_oldest_seconds", "Age of the oldest entry that is due and not sent.", registry=own
        )
        self.quarantine_waiting = Gauge(
            "doorstep_quarantine_waiting", "Quarantine entries that wait for a person.", registry=own
        )
        self.sender_last_message = Gauge(
            "doorstep_sender_last_message_timestamp_seconds",
            "When a listener last committed a message.",
            ["listener"],
            registry=own,
        )
        self.sequence_gaps = Counter(
            "doorstep_sequence_gaps",
            "Times that a sender's sequence numbers (MSH-13) jumped.",
            ["listener"],
            registry=own,
        )
        self.senders_silent = Gauge(
            "doorstep_senders_silent", "Senders that are silent against their own habit.", ["listener"], registry=own
        )
        self.certificate_expires = Gauge(
            "doorstep_certificate_expires_timestamp_seconds",
            "When a listener's TLS certificate expires.",
            ["listener"],
            registry=own,
        )
        self.conformance_checked = Gauge(
            "doorstep_conformance_checked", "Messages checked for conformance in this run.", registry=own
        )
        self.conformance_faulty = Gauge(
            "doorstep_conformance_faulty", "Checked messages with findings in this run.", registry=own
        )
        self.conformance_not_checked = Gauge(
            "doorstep_conformance_not_checked", "Messages whose check had no room or no time in this run.", registry=own
        )
        self.requests = Counter(
            "doorstep_requests", "Answers of the web faces.", ["route", "method", "status"], registry=own
        )
        self.request_seconds = Histogram(
            "doorstep_request_seconds", "Time to answer, by route.", ["route"], buckets=_SECONDS, registry=own
        )
        self.join_steps = Counter(
            "doorstep_join_steps", "What became of steps at the join site.", ["step", "outcome"], registry=own
        )
        self.ready = Gauge("doorstep_ready", "1 while the daemon can take and store messages.", registry=own)
        self.information = Gauge(
            "doorstep_information", "Always 1; the version is its label.", ["version"], registry=own
        )
